/*
 * The little that the pages do in the browser. Every page works without this file: forms post, links lead, and the
 * server answers with whole pages. Nothing here is inline, nothing is evaluated, and there are no dependencies.
 */
(() => {
  "use strict";

  // Whether DOMContentLoaded has gone by. htmx starts itself on that event, so the loader below has to know.
  let domReady = false;
  document.addEventListener("DOMContentLoaded", () => { domReady = true; }, { once: true });

  /* 1. htmx: from the CDN, else from here ----------------------------------------------------------------------------
   *
   * The CDN script is `async`, so it may run before this file, after it, much later, or never, and a missing
   * window.htmx at any one moment proves nothing. What counts as failure:
   *   a. its `error` event: blocked, unreachable, or not the bytes that `integrity` promises;
   *   b. the window's `load` event without htmx: `load` waits for that script to run or fail, so by then it has failed,
   *      and possibly before this file could listen for (a);
   *   c. three seconds without htmx: a CDN that accepts and says nothing. It would hold `load` back as well.
   * The first of them appends the self-hosted copy; `gaveUp` makes it the only time.
   *
   * A CDN that answers after (c) must not run htmx a second time: two copies would send every request twice. Removing
   * a pending script from the page does not stop it, but a script whose document has changed is never run, so the
   * script is moved into an empty document. Between that and the append nothing else can run.
   *
   * htmx initialises on DOMContentLoaded, or at once if the page is "complete". Between the two ("interactive", the
   * event gone by) it would wait for ever, and an `async` script holds the page in that very state. When a copy has
   * just run in it, the event is given to `document` again; it does not bubble, so listeners on window are spared.
   */
  const startHtmxIfItMissedTheEvent = () => {
    if (domReady && document.readyState !== "complete") document.dispatchEvent(new Event("DOMContentLoaded"));
  };

  const watchOverHtmx = () => {
    const cdn = document.getElementById("htmx-cdn");
    if (!cdn || window.htmx) return;
    const fallback = { url: cdn.dataset.fallback, integrity: cdn.dataset.fallbackIntegrity };
    let gaveUp = false;
    const giveUp = () => {
      if (gaveUp || window.htmx) return;
      gaveUp = true;
      document.implementation.createHTMLDocument("").adoptNode(cdn);
      const script = document.createElement("script");
      script.id = "htmx-fallback";
      script.addEventListener("load", startHtmxIfItMissedTheEvent);
      if (fallback.integrity) script.integrity = fallback.integrity;
      script.src = fallback.url;
      document.head.append(script);
    };
    cdn.addEventListener("load", startHtmxIfItMissedTheEvent);
    cdn.addEventListener("error", giveUp);
    if (document.readyState === "complete") giveUp();
    else window.addEventListener("load", giveUp, { once: true });
    window.setTimeout(giveUp, 3000);
  };

  /* 2. Only our own answers are used ---------------------------------------------------------------------------------
   * What stands in front of us (a proxy, a network that wants a log-in) answers with pages of its own, some of them with
   * 200 or 503. Ours carry a header. `htmx:beforeOnLoad` comes before htmx reads anything of an answer.
   */
  const OURS = "X-Answered-By";
  const isOurs = (xhr) => xhr?.getResponseHeader(OURS) === "bookingapp";

  const refuseForeignAnswers = () => {
    document.addEventListener("htmx:beforeOnLoad", (event) => {
      if (isOurs(event.detail.xhr)) return;
      event.preventDefault();
      if (!isLook(event)) say("failed");
    });
  };

  /* 3. What went wrong between two pages, in plain words: the page carries the sentences. A look that fails is repeated
   * by itself, so it says something only after several (see 4).
   */
  const LOOKING = "[hx-trigger=look]";
  const isLook = (event) => event.detail.requestConfig?.elt.matches(LOOKING) ?? false;
  const region = document.getElementById("page-alert");
  const say = (what, wait = "") => {
    if (region) region.textContent = (region.dataset[what] ?? "").replace("{wait}", wait);
  };

  const waitInWords = (xhr) => {
    const seconds = Number.parseInt(xhr.getResponseHeader("Retry-After") ?? "", 10);
    if (!(seconds > 0)) return "";
    const [count, unit] = seconds < 90 ? [seconds, "second"] : [Math.ceil(seconds / 60), "minute"];
    const format = new Intl.NumberFormat(document.documentElement.lang, { style: "unit", unit, unitDisplay: "long" });
    return format.format(count);
  };

  const responseError = (event) => {
    if (isLook(event)) return;
    const { xhr } = event.detail;
    const wait = waitInWords(xhr);
    if (xhr.status === 429) say(wait ? "tooFast" : "tooFastByAMinute", wait);
    else if (xhr.status === 401 || xhr.status === 403) say("loggedOut");
    else if (xhr.status === 400) say("tooOld");
    else if (xhr.status === 404) say("gone");
    else say("failed");
  };

  const reportErrors = () => {
    document.addEventListener("htmx:responseError", responseError);
    document.addEventListener("htmx:sendError", (event) => { if (!isLook(event)) say("unreachable"); });
    document.addEventListener("htmx:timeout", (event) => { if (!isLook(event)) say("tooSlow"); });
    document.addEventListener("htmx:beforeSwap", (event) => { if (event.detail.shouldSwap) say("nothing"); });
  };

  /* 4. Pages that wait: a booking's own, and the one on which its time is chosen --------------------------------------
   * Their element asks again `data-look-seconds` after an answer, and when the page becomes visible or the network comes
   * back. Each look plans the next one before it is answered, later each time: so nothing that goes wrong ends the
   * waiting, and an answer of ours begins anew. A page that nobody sees does not ask.
   */
  const LONGEST_PAUSE = 60;
  const SAY_AFTER = 4;

  const secondsOf = (header) => Math.max(Number.parseInt(header ?? "", 10) || 0, 0);
  const pauseAfter = (failures) => Math.min(2 ** failures, LONGEST_PAUSE) * (0.75 + Math.random() / 2);

  const keepLooking = () => {
    let unanswered = 0;
    let lookedAt = 0;
    let notBefore = 0;
    let timer;
    const plan = () => {
      window.clearTimeout(timer);
      const usual = Number(document.querySelector(LOOKING)?.dataset.lookSeconds);
      const pause = unanswered ? pauseAfter(unanswered) : usual;
      if (pause > 0) timer = window.setTimeout(look, Math.max(pause * 1000, notBefore - Date.now()));
    };
    const look = () => {
      const element = document.querySelector(LOOKING);
      if (!element || document.hidden) return;
      if (Date.now() < notBefore) { plan(); return; }
      lookedAt = Date.now();
      unanswered += window.htmx ? 1 : 0;
      plan();
      element.dispatchEvent(new Event("look"));
    };
    const lookSoon = () => { if (Date.now() - lookedAt > 1000) look(); };

    document.addEventListener("htmx:afterRequest", (event) => {
      if (!isLook(event)) return;
      const { successful, xhr } = event.detail;
      if (successful && isOurs(xhr)) {
        if (unanswered > SAY_AFTER) say("nothing");
        unanswered = 0;
      } else {
        // A proxy may say a day.
        notBefore = Date.now() + Math.min(secondsOf(xhr.getResponseHeader("Retry-After")), 2 * LONGEST_PAUSE) * 1000;
        if (unanswered >= SAY_AFTER) say("stale");
      }
      plan();
    });
    // Also after other swaps, such as the answer to "Check with Stripe now".
    document.addEventListener("htmx:afterSettle", plan);
    document.addEventListener("visibilitychange", lookSoon);
    window.addEventListener("online", lookSoon);
    window.addEventListener("pageshow", (event) => { if (event.persisted) lookSoon(); });
    plan();
  };

  /* 5. The scheduling widget ----------------------------------------------------------------------------------------
   * Calendly's script, sheet and frame are asked for when their place comes near the view, and not before the visitor has
   * agreed where that is asked. The script builds the frame when we call it; the container carries no class that would
   * make it build a second one. `data-state` on the wrapper is asking, waiting, loading, ready, blocked, moving or
   * reporting; the sheet shows what belongs to it. Only a message of Calendly's makes it ready: the frame's `load` comes
   * for the browser's error page too. Where none comes, the page moves on to our list of times, unless the visitor has
   * chosen the calendar or has opened Calendly. The plain link stays throughout, in a tab of its own, so that this page
   * can notice the time (see 4); once it is open, "I have picked a time" is offered. Only the two addresses of Calendly's
   * message are used, and the server reads both.
   */
  const SILENT_MS = 6000;
  const BLOCKED_MS = 8000;
  const READ_MS = 2000;
  const NEAR_VIEW = "400px 0px";

  const isRecord = (value) => typeof value === "object" && value !== null;

  const scheduledUris = (data) => {
    if (data.event !== "calendly.event_scheduled" || !isRecord(data.payload)) return null;
    const { event, invitee } = data.payload;
    if (!isRecord(event) || !isRecord(invitee)) return null;
    return typeof event.uri === "string" && typeof invitee.uri === "string" ? [event.uri, invitee.uri] : null;
  };

  // Until the server has it: a page that is left does not stop the request (`keepalive`), and a failure is repeated. A
  // refusal is shown by the server, as a page.
  const report = async (form, failures = 0) => {
    try {
      const body = new URLSearchParams(new FormData(form));
      const answer = await fetch(form.action, { method: "POST", body, headers: { "HX-Request": "true" }, keepalive: true });
      if (answer.headers.get(OURS) === "bookingapp") {
        const onward = answer.headers.get("HX-Redirect");
        if (answer.ok && onward) { window.location.assign(onward); return; }
        if (answer.status < 500 && answer.status !== 429) { form.submit(); return; }
      }
    } catch {
      // No connection: as any other failure.
    }
    window.setTimeout(report, pauseAfter(failures) * 1000, form, failures + 1);
  };

  const startScheduler = () => {
    const container = document.getElementById("scheduling-widget");
    const wrapper = document.getElementById("scheduler");
    const form = document.getElementById("scheduled-form");
    if (!container || !wrapper || !form) return;
    const { schedulingUrl, bookingOrigin, consent, frameTitle, movesOn, widgetCss, widgetJs } = container.dataset;
    let built = false;
    let reported = false;
    let moving;

    const isIn = (...states) => states.includes(wrapper.dataset.state);
    const enter = (state) => { if (!reported) wrapper.dataset.state = state; };
    const block = () => { if (isIn("loading")) enter("blocked"); };
    const stay = () => { window.clearTimeout(moving); if (isIn("moving")) enter("blocked"); };
    const build = () => {
      if (built || typeof window.Calendly?.initInlineWidget !== "function") return;
      built = true;
      window.Calendly.initInlineWidget({ url: schedulingUrl, parentElement: container });
      container.querySelector("iframe")?.setAttribute("title", frameTitle);
    };
    // After a while for reading why. Who comes back to this page has chosen it.
    const moveOn = () => {
      if (!movesOn || wrapper.dataset.opened || !isIn("loading", "blocked")) return;
      if (container.contains(document.activeElement)) return;
      if (document.hidden) { document.addEventListener("visibilitychange", moveOn, { once: true }); return; }
      enter("moving");
      moving = window.setTimeout(() => {
        const here = new URL(window.location.href);
        here.searchParams.set("by", "widget");
        window.history.replaceState(null, "", here);
        window.location.assign(movesOn);
      }, READ_MS);
    };
    const load = () => {
      enter("loading");
      const sheet = document.createElement("link");
      sheet.rel = "stylesheet";
      sheet.href = widgetCss;
      const script = document.createElement("script");
      script.id = "calendly-widget-script";
      script.addEventListener("load", () => { build(); if (!built) block(); });
      script.addEventListener("error", block);
      script.src = widgetJs;
      document.head.append(sheet, script);
      window.setTimeout(moveOn, SILENT_MS);
      // A message that comes later still brings the calendar.
      window.setTimeout(block, BLOCKED_MS);
    };

    window.addEventListener("message", (message) => {
      if (message.origin !== bookingOrigin || !isRecord(message.data)) return;
      const { event, payload } = message.data;
      if (typeof event !== "string" || !event.startsWith("calendly.")) return;
      window.clearTimeout(moving);
      enter("ready");
      if (event === "calendly.page_height" && /^\d{2,5}(\.\d+)?px$/.test(payload?.height)) {
        container.style.height = payload.height;
      }
      const uris = scheduledUris(message.data);
      if (!uris || reported) return;
      enter("reporting");
      reported = true;
      [form.elements.event_uri.value, form.elements.invitee_uri.value] = uris;
      report(form);
    });

    const link = document.getElementById("scheduling-link");
    link?.setAttribute("target", "_blank");
    link?.addEventListener("click", () => { wrapper.dataset.opened = "true"; stay(); });
    window.addEventListener("pageshow", (event) => { if (event.persisted) stay(); });

    if (consent === "asked") return;
    enter("waiting");
    if (!("IntersectionObserver" in window)) { load(); return; }
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      load();
    }, { rootMargin: NEAR_VIEW });
    observer.observe(container);
  };

  /* 6. The visitor's own time zone, as long as nobody has chosen one --------------------------------------------- */
  const proposeZone = () => {
    const select = document.querySelector("select[data-browser-zone]");
    if (!select) return;
    const preset = Array.from(select.options).findIndex((option) => option.defaultSelected);
    if (select.selectedIndex !== Math.max(preset, 0)) return;
    // Browsers report some zones by their former names.
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const isOf = (option) => option.value === zone || option.dataset.former?.split(" ").includes(zone);
    const found = Array.from(select.options).find(isOf);
    if (found) select.value = found.value;
  };

  // What is asked for lazily is shown in that zone too; without this the server answers in the builder's.
  const addZone = () => {
    document.addEventListener("htmx:configRequest", (event) => {
      const { elt, parameters } = event.detail;
      if (elt.hasAttribute("data-add-zone")) parameters.tz = Intl.DateTimeFormat().resolvedOptions().timeZone;
    });
  };

  /* 7. Swaps: speak only when there is news, and never drop the focus -----------------------------------------------
   * The live region is the parent of what is swapped. A poll that brings the same news would be read out again, so the
   * region is silent for a swap whose `data-announce` has not changed. htmx gives the focus back to an element with the
   * same id; where that element is gone, the heading of the new content takes it, or a status.
   */
  const newsOf = (html) => {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content.querySelector("[data-announce]")?.dataset.announce;
  };

  const mindSwaps = () => {
    let focusWasInside = false;
    document.addEventListener("htmx:beforeSwap", (event) => {
      const { target, serverResponse, shouldSwap } = event.detail;
      if (!shouldSwap) return;
      focusWasInside = target.contains(document.activeElement);
      const region = target.parentElement?.closest("[aria-live]");
      const news = target.dataset.announce;
      if (!region || news === undefined) return;
      region.setAttribute("aria-live", news === newsOf(serverResponse) ? "off" : "polite");
    });
    // What changed is said in a place that was there before: the rest of the new content would be too much to hear.
    document.addEventListener("htmx:afterSettle", () => {
      document.querySelectorAll("[data-announces]").forEach((place) => {
        place.textContent = document.querySelector(place.dataset.announces)?.textContent.trim() ?? "";
      });
    });
    document.addEventListener("htmx:afterSettle", (event) => {
      if (!focusWasInside || (document.activeElement && document.activeElement !== document.body)) return;
      focusWasInside = false;
      const { target } = event;
      const heading = target.matches?.("[role=status]") ? target : target.querySelector?.("h1, h2, h3, .notice__title");
      if (!heading) return;
      heading.setAttribute("tabindex", "-1");
      heading.focus({ preventScroll: true });
    });
  };

  /* 8. One click, one submission ------------------------------------------------------------------------------------
   * The button is marked busy but not disabled, so its own name and value still travel and the focus stays. A page that
   * comes back from the browser's cache is fresh again.
   */
  const mindSubmissions = () => {
    const release = (form) => {
      delete form.dataset.sending;
      form.querySelectorAll("[type=submit][aria-busy]").forEach((button) => button.removeAttribute("aria-busy"));
    };
    document.addEventListener("submit", (event) => {
      const form = event.target;
      if (form.method !== "post") return;
      if (form.dataset.sending) { event.preventDefault(); event.stopImmediatePropagation(); return; }
      form.dataset.sending = "true";
      (event.submitter ?? form.querySelector("[type=submit]"))?.setAttribute("aria-busy", "true");
    }, true);
    document.addEventListener("htmx:afterRequest", (event) => {
      const form = event.detail.elt.closest("form");
      if (form) release(form);
    });
    window.addEventListener("pageshow", (event) => {
      if (event.persisted) document.querySelectorAll("form[data-sending]").forEach(release);
    });
  };

  /* 9. A head start: the sessions of a builder under the pointer or the focus ----------------------------------------
   * The answer is kept by the browser for a few seconds, so the profile that is opened next finds it there. The request
   * is the one that htmx will send, since the same address has a whole page too. Nothing is asked for where the
   * visitor saves data.
   */
  const HEAD_START_MS = 80;
  const KEPT_MS = 20000;

  const headStart = () => {
    if (navigator.connection?.saveData) return;
    const asked = new Map();
    let pending = null;
    let timer;
    const consider = (event) => {
      const url = event.target.closest?.("[data-prefetch]")?.dataset.prefetch ?? null;
      if (url === pending) return;
      window.clearTimeout(timer);
      pending = url;
      if (!url || Date.now() - (asked.get(url) ?? -KEPT_MS) < KEPT_MS) return;
      timer = window.setTimeout(() => {
        asked.set(url, Date.now());
        fetch(url, { headers: { "HX-Request": "true" }, priority: "low" }).catch(() => asked.delete(url));
      }, HEAD_START_MS);
    };
    document.addEventListener("pointerover", consider, { passive: true });
    document.addEventListener("focusin", consider);
  };

  /* 10. The address may change while a page is open (the directory's filters): its links to other languages keep that. */
  const keepAddressInLanguages = () => {
    document.addEventListener("htmx:pushedIntoHistory", () => {
      document.querySelectorAll(".site-footer__languages a").forEach((link) => {
        const query = new URLSearchParams(window.location.search);
        query.set("lang", link.hreflang);
        link.setAttribute("href", `?${query}`);
      });
    });
  };

  /* 11. What the last page led to: a live region is read out when it changes. */
  const HEARD_AFTER_MS = 300;

  const readOutFlashes = () => {
    const place = document.querySelector(".flashes");
    if (!place) return;
    const repeat = () => window.setTimeout(() => place.replaceChildren(...place.children), HEARD_AFTER_MS);
    if (document.readyState === "complete") repeat();
    else window.addEventListener("load", repeat, { once: true });
  };

  headStart();
  watchOverHtmx();
  refuseForeignAnswers();
  reportErrors();
  keepLooking();
  startScheduler();
  proposeZone();
  addZone();
  mindSwaps();
  mindSubmissions();
  keepAddressInLanguages();
  readOutFlashes();
})();
