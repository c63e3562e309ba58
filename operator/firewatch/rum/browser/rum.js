// Real user monitoring by Firewatch: how pages load and what users do, sent to where this script is from.
//
//   import { init } from "https://rum.example.org/rum.js";
//   const rum = init({ apiKey: "…", serviceName: "web", environment: "production" });
//   rum.track("checkout", { duration: 120 });
//
// Page loads, web vitals, clicks and failed scripts are tracked by themselves; `automatic: false` leaves
// that to you. Nothing of what users type or read is sent: paths without their queries, names of elements.

import { onCLS, onFCP, onINP, onLCP, onTTFB } from "./web-vitals.js";

const SEND_EVERY_MS = 5000;
const SEND_AT = 20; // events
const MOST = 100; // events of a request, and of those that wait

export function init({
  apiKey,
  serviceName,
  environment = "production",
  endpoint = new URL("v1/events", import.meta.url).href,
  automatic = true,
} = {}) {
  if (!apiKey || !serviceName) {
    throw new TypeError("rum: init needs apiKey and serviceName");
  }
  const rum = new Rum({ apiKey, serviceName, environment, endpoint });
  if (automatic) {
    observe(rum);
  }
  // For pages that call rum.track without keeping what init returns.
  globalThis.rum ??= rum;
  return rum;
}

class Rum {
  #identity;
  #endpoint;
  #waiting = [];
  #timer = null;

  constructor({ endpoint, ...identity }) {
    this.#identity = identity;
    this.#endpoint = endpoint;
    // The last moment at which anything can be sent for certain.
    addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden") {
        this.flush();
      }
    });
    addEventListener("pagehide", () => this.flush());
  }

  // Note an event; durations are in milliseconds.
  track(name, { duration, target, metric, value } = {}) {
    if (this.#waiting.length === MOST) {
      return;
    }
    const page = location.pathname;
    this.#waiting.push({ name, page, duration, target, metric, value });
    if (this.#waiting.length >= SEND_AT) {
      this.flush();
    } else {
      this.#timer ??= setTimeout(() => this.flush(), SEND_EVERY_MS);
    }
  }

  // Send what waits. A text, and not JSON by its type: that needs no leave beforehand.
  flush() {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#waiting.length === 0) {
      return;
    }
    const body = JSON.stringify({ ...this.#identity, events: this.#waiting });
    this.#waiting = [];
    if (!navigator.sendBeacon(this.#endpoint, body)) {
      fetch(this.#endpoint, { method: "POST", body, keepalive: true, mode: "cors" }).catch(() => {
        // What cannot be sent is lost: an application must never suffer from being watched.
      });
    }
  }
}

function observe(rum) {
  whenLoaded(() => {
    const [navigation] = performance.getEntriesByType("navigation");
    rum.track("page_load", { duration: navigation.loadEventEnd });
  });
  for (const on of [onCLS, onFCP, onINP, onLCP, onTTFB]) {
    on(({ name, value }) => rum.track("web_vital", { metric: name, value }));
  }
  document.addEventListener(
    "click",
    (event) => rum.track("user_interaction", { target: event.target.tagName }),
    { capture: true, passive: true },
  );
  addEventListener("error", () => rum.track("error"));
  addEventListener("unhandledrejection", () => rum.track("error"));
}

// Call back once the load event has ended: within it, loadEventEnd is still 0.
function whenLoaded(callback) {
  if (document.readyState === "complete") {
    setTimeout(callback);
  } else {
    addEventListener("load", () => setTimeout(callback), { once: true });
  }
}
