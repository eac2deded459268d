// A stand-in for Calendly's widget.js: the inline widget, with Calendly's function names and attributes.
(() => {
  "use strict";
  if (window.Calendly && window.Calendly.initInlineWidget) return;

  const UTM = {
    utmCampaign: "utm_campaign",
    utmSource: "utm_source",
    utmMedium: "utm_medium",
    utmContent: "utm_content",
    utmTerm: "utm_term",
    salesforce_uuid: "salesforce_uuid",
  };
  const PREFILL = { name: "name", email: "email", firstName: "first_name", lastName: "last_name", location: "location" };
  const pad = (number) => String(number).padStart(2, "0");

  function frameAddress(url, prefill = {}, utm = {}) {
    const address = new URL(url, location.href);
    const set = (key, value) => {
      if (value !== undefined && value !== null && value !== "") address.searchParams.set(key, String(value));
    };
    for (const [option, key] of Object.entries(PREFILL)) set(key, prefill[option]);
    for (const [key, answer] of Object.entries(prefill.customAnswers || {})) set(key, answer);
    if (prefill.guests && prefill.guests.length) set("guests", prefill.guests.join(","));
    if (prefill.date instanceof Date) {
      const day = prefill.date;
      set("month", `${day.getFullYear()}-${pad(day.getMonth() + 1)}`);
      set("date", `${day.getFullYear()}-${pad(day.getMonth() + 1)}-${pad(day.getDate())}`);
    }
    for (const [option, key] of Object.entries(UTM)) set(key, utm[option]);
    // Without these two the frame sends no messages.
    set("embed_domain", location.host || "1");
    set("embed_type", "Inline");
    return address.href;
  }

  function initInlineWidget({ url, parentElement, prefill, utm, resize } = {}) {
    const parent = parentElement || document.currentScript?.parentElement;
    const address = url || parent?.dataset.url;
    if (!parent || !address) throw new Error("Calendly.initInlineWidget: url and parentElement are required");
    parent.dataset.processed = "true";
    const spinner = document.createElement("div");
    spinner.className = "calendly-spinner";
    spinner.append(...["one", "two", "three"].map((which) => {
      const dot = document.createElement("div");
      dot.className = `calendly-bounce-${which}`;
      return dot;
    }));
    const frame = document.createElement("iframe");
    frame.src = frameAddress(address, prefill, utm);
    frame.title = "Select a Date & Time - Calendly";
    frame.width = "100%";
    frame.height = "100%";
    frame.setAttribute("frameborder", "0");
    frame.addEventListener("load", () => spinner.remove());
    parent.replaceChildren(spinner, frame);
    if (resize || parent.dataset.resize === "true") followHeight(parent, frame);
  }

  function followHeight(parent, frame) {
    window.addEventListener("message", ({ source, data }) => {
      if (source !== frame.contentWindow || !data || data.event !== "calendly.page_height") return;
      parent.style.height = data.payload.height;
    });
  }

  function initInlineWidgets() {
    for (const parent of document.querySelectorAll(".calendly-inline-widget[data-url]")) {
      if (parent.dataset.processed || parent.dataset.autoLoad === "false") continue;
      initInlineWidget({ parentElement: parent });
    }
  }

  window.Calendly = { ...window.Calendly, initInlineWidget, initInlineWidgets };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", initInlineWidgets);
  else initInlineWidgets();
})();
