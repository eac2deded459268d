// The booking pages: follow the visitor's time zone, and post messages to an embedding page.
(() => {
  "use strict";
  const page = document.body.dataset;

  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (page.guessZone && zone) {
    const address = new URL(location.href);
    address.searchParams.set("timezone", zone);
    if (zone !== page.guessZone) {
      location.replace(address);
      return;
    }
    history.replaceState(null, "", address);
  }

  const select = document.querySelector(".zone select");
  if (select) {
    const button = select.form.querySelector("button");
    button.hidden = true;
    select.addEventListener("change", () => select.form.submit());
  }

  if (!("embedded" in page) || window.parent === window) return;
  const post = (event, payload) => window.parent.postMessage({ event, payload }, "*");
  const postHeight = () => post("calendly.page_height", { height: `${document.documentElement.offsetHeight}px` });
  new ResizeObserver(postHeight).observe(document.body);
  if (page.message === "calendly.event_scheduled") {
    post(page.message, { event: { uri: page.eventUri }, invitee: { uri: page.inviteeUri } });
  } else if (page.message) {
    post(page.message, {});
  }
  if (page.onward) window.top.location.href = page.onward;
})();
