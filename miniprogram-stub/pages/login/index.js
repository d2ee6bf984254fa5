const owner = require('../../services/owner');
const platform = require('../../services/platform');
const session = require('../../services/session');
const display = require('../../utils/display');
const { act, load, openTab, toast } = require('../../utils/page');

/** Log in and bind a house: by the phone of WeChat, else by house, name and last four digits. */
Page({
  data: {
    busy: false,
    problem: null,
    loading: false,
    failed: false,
    loaded: false,
    large: false,
    adding: false,
    houseCode: '',
    communityCode: '',
    name: '',
    phoneLast4: '',
  },

  onLoad(query) {
    this.setData({ adding: query.add === '1', large: display.isLarge() });
    return this.reload();
  },

  onRetry() {
    return this.reload();
  },

  reload() {
    return load(this, async () => {
      const { bound } = await session.ensure();
      this.setData({ loaded: true });
      if (bound && !this.data.adding) openTab('bills');
    });
  },

  onInput(event) {
    this.setData({ [event.currentTarget.dataset.name]: event.detail.value.trim() });
  },

  onPhone(event) {
    return act(this, async () => {
      const code = await platform.phoneCode(event.detail);
      if (!code) {
        toast('您没有授权手机号，可以用房号绑定');
        return;
      }
      this.finish(await owner.bindByPhone(code));
    });
  },

  onHouse() {
    const { houseCode, communityCode, name, phoneLast4 } = this.data;
    if (!houseCode || !name || !/^\d{4}$/.test(phoneLast4)) {
      const title = '请填写房号、姓名和手机号后四位';
      this.setData({ problem: { title, advice: '手机号后四位是 4 个数字。' } });
      return undefined;
    }
    return act(this, async () => {
      this.finish(await owner.bindByHouse({ houseCode, communityCode, name, phoneLast4 }));
    });
  },

  finish({ houses }) {
    toast(`已绑定${houses.length}处房屋`);
    openTab('bills');
  },
});
