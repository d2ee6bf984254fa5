/** What DevTools and readers of the code rely on. */
const fs = require('fs');
const path = require('path');

const ROOT = path.resolve(__dirname, '../..');
const SHIPPED = ['components', 'pages', 'services', 'utils'];

function files(folder, ending) {
  return fs
    .readdirSync(path.join(ROOT, folder), { recursive: true })
    .map((name) => path.join(folder, String(name)))
    .filter((name) => name.endsWith(ending));
}

const all = (ending) => SHIPPED.flatMap((folder) => files(folder, ending));
const read = (name) => fs.readFileSync(path.join(ROOT, name), 'utf8');
const app = JSON.parse(read('app.json'));

test.each(app.pages)('page %s is whole and its components exist', (page) => {
  ['js', 'json', 'wxml'].forEach((kind) => expect(read(`${page}.${kind}`)).not.toBe(''));
  const { usingComponents = {} } = JSON.parse(read(`${page}.json`));
  Object.values(usingComponents).forEach((where) => {
    const component = path.join(path.dirname(page), where);
    expect(JSON.parse(read(`${component}.json`)).component).toBe(true);
  });
});

test('every page folder is listed, tabs are pages', () => {
  const found = fs.readdirSync(path.join(ROOT, 'pages')).map((name) => `pages/${name}/index`);
  expect([...app.pages].sort()).toEqual(found.sort());
  app.tabBar.list.forEach((tab) => expect(app.pages).toContain(tab.pagePath));
});

test('pages that messages open are there', () => {
  expect(app.pages).toEqual(
    expect.arrayContaining(['pages/bills/index', 'pages/payments/index']),
  );
});

test('project and sitemap are what DevTools reads', () => {
  const project = JSON.parse(read('project.config.json'));
  expect(project.compileType).toBe('miniprogram');
  expect(project.appid).toBeTruthy();
  const ignored = project.packOptions.ignore.map((rule) => rule.value);
  expect(ignored).toEqual(expect.arrayContaining(['node_modules', 'tests']));
  expect(JSON.parse(read('sitemap.json')).rules).toEqual([{ action: 'disallow', page: '*' }]);
});

test('only services/http.js uses the network, only services/ the WeChat abilities', () => {
  const network = all('.js').filter((name) => /\bwx\.(request|uploadFile|connectSocket)/.test(read(name)));
  expect(network).toEqual(['services/http.js']);
  const abilities = /\bwx\.(login|requestPayment|requestSubscribeMessage)/;
  const outside = all('.js').filter((name) => !name.startsWith('services') && abilities.test(read(name)));
  expect(outside).toEqual([]);
});

test('pages reach the server through services/owner and services/checkout', () => {
  const direct = files('pages', '.js').filter((name) => /services\/(api|http|intents)'/.test(read(name)));
  expect(direct).toEqual([]);
});

test('every page says that it loads and offers to try again', () => {
  app.pages.forEach((page) => {
    expect(read(`${page}.wxml`)).toContain(
      'problem="{{problem}}" loading="{{loading && !loaded}}" failed="{{failed}}" bind:retry="onRetry"',
    );
    expect(read(`${page}.js`)).toMatch(/\n {2}onRetry\(\) \{/);
  });
});

test('pages that a phone may pull down know how to refresh, and lists may be pulled', () => {
  const pulled = app.pages.filter((page) => JSON.parse(read(`${page}.json`)).enablePullDownRefresh);
  expect(pulled.sort()).toEqual(['bills', 'me', 'payments', 'points'].map((n) => `pages/${n}/index`));
  pulled.forEach((page) => expect(read(`${page}.js`)).toMatch(/\n {2}onPullDownRefresh\(\) \{/));
});

test('texts have full-width punctuation', () => {
  const half = /[\u4e00-\u9fff”）}][,:;?!(][\u4e00-\u9fff“{]|[\u4e00-\u9fff][,;?!]|\([\u4e00-\u9fff]/;
  const found = all('.wxml').flatMap((name) =>
    read(name).split('\n').filter((line) => half.test(line)).map((line) => `${name} ${line.trim()}`),
  );
  expect(found).toEqual([]);
});

test('WXML computes nothing: it cannot call functions', () => {
  const calls = all('.wxml').filter((name) => /\{\{[^}]*[\w\]]\([^}]*\}\}/.test(read(name)));
  expect(calls).toEqual([]);
});

test('everything to touch or look at has words for a screen reader', () => {
  const silent = [];
  all('.wxml').forEach((name) => {
    const tags = read(name).match(/<(input|textarea|picker|image|canvas)\b[^>]*>/g) || [];
    silent.push(...tags.filter((tag) => !tag.includes('aria-label=')).map((tag) => `${name} ${tag}`));
    const tappable = read(name).match(/<view\b[^>]*bindtap[^>]*>/g) || [];
    silent.push(...tappable.filter((tag) => !tag.includes('aria-role=')).map((tag) => `${name} ${tag}`));
  });
  expect(silent).toEqual([]);
});

test('text is large and buttons are high enough for a thumb', () => {
  const style = read('app.wxss');
  expect(Number(/\.root \{ font-size: (\d+)rpx/.exec(style)[1])).toBeGreaterThanOrEqual(36);
  expect(Number(/\.large \{ font-size: (\d+)rpx/.exec(style)[1])).toBeGreaterThanOrEqual(44);
  expect(Number(/\.big-button \{[^}]*min-height: (\d+)rpx/.exec(style)[1])).toBeGreaterThanOrEqual(88);
  const small = all('.wxss').filter((name) => /font-size: (\d+rpx|0\.[0-6])/.test(read(name)));
  expect(small).toEqual([]);
});

test('the words are lawful and respectful', () => {
  const wrong = /滞纳金|催缴|催收|欠费|老赖|征信|失信|黑名单|停水|停电|门禁|起诉|律师|罚/;
  const found = [...all('.wxml'), ...all('.js')].filter((name) => wrong.test(read(name)));
  expect(found).toEqual([]);
});
