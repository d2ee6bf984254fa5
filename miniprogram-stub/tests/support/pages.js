/** Open pages of the mini-program in jsdom, as DevTools would: compiled WXML, real events. */
const path = require('path');
const simulate = require('miniprogram-simulate');
const { until } = require('./wx');

const ROOT = path.resolve(__dirname, '../..');
const LIFE = ['onLoad', 'onShow', 'onHide', 'onUnload', 'onPullDownRefresh'];

/** miniprogram-simulate knows Component only: a page is one whose functions are methods. */
global.Page = (definition) => {
  const methods = {};
  Object.keys(definition).forEach((name) => {
    if (typeof definition[name] === 'function') methods[name] = definition[name];
  });
  global.Component({ data: definition.data, methods });
};
global.getApp = () => ({ globalData: {} });
global.getCurrentPages = () => [];

const opened = [];

/** A page on screen. */
class Screen {
  constructor(component) {
    this.component = component;
    this.page = component.instance;
  }

  get data() {
    return this.component.data;
  }

  /** Everything that can be read on the page. */
  get text() {
    return this.component.dom.textContent.replace(/\s+/g, ' ');
  }

  /** The first element of a class; inside a child component: find('.bill', '.head'). */
  find(...selectors) {
    let found = this.component;
    selectors.forEach((selector) => {
      if (!found) return;
      const all = Array.isArray(selector) ? found.querySelectorAll(selector[0]) : null;
      found = all ? all[selector[1]] : found.querySelector(selector);
    });
    return found;
  }

  /** Tap an element that is there. */
  tap(...selectors) {
    this.fire('tap', {}, ...selectors);
  }

  /** Let an element send an event with detail. */
  fire(name, detail, ...selectors) {
    const found = this.find(...selectors);
    if (!found) throw new Error(`no ${selectors} on the page: ${this.text}`);
    found.dispatchEvent(name, { detail, bubbles: true });
  }

  /** Wait until the page shows this text. */
  shows(text, timeout) {
    const seen = () => this.text.includes(text);
    return until(seen, timeout).catch(() => {
      throw new Error(`"${text}" did not appear; the page shows: ${this.text}`);
    });
  }

  /** Wait until no action is running. */
  idle() {
    return until(() => !this.data.busy);
  }

  close() {
    if (this.page.onUnload) this.page.onUnload();
    this.component.detach();
  }
}

/** Open pages/<name>/index with a query; modules start fresh, storage stays. */
function openPage(name, query = {}) {
  jest.resetModules();
  const id = simulate.load(path.join(ROOT, 'pages', name, 'index'), 'page', { rootPath: ROOT });
  const component = simulate.render(id);
  const parent = document.createElement('div');
  document.body.appendChild(parent);
  component.attach(parent);
  const screen = new Screen(component);
  opened.push(screen);
  if (screen.page.onLoad) screen.page.onLoad(query);
  if (screen.page.onShow) screen.page.onShow();
  return screen;
}

/** Close what a test left open. */
function closePages() {
  opened.splice(0).forEach((screen) => screen.close());
}

module.exports = { LIFE, ROOT, Screen, closePages, openPage };
