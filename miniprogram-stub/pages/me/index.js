const owner = require('../../services/owner');
const { instantText } = require('../../utils/dates');
const display = require('../../utils/display');
const { act, load, open, replace, toast } = require('../../utils/page');

function contactView(contact, n) {
  return { ...contact, key: `${contact.at}-${n}`, at_text: instantText(contact.at) };
}

/** My houses, every message and contact made to me, and the wish not to be contacted. */
Page({
  data: {
    busy: false,
    problem: null,
    loading: false,
    failed: false,
    loaded: false,
    large: false,
    houses: [],
    houseId: '',
    hotline: '',
    companyName: '',
    contacts: [],
    nextCursor: null,
    stopped: false,
  },

  onShow() {
    this.setData({ large: display.isLarge() });
    return this.reload();
  },

  onPullDownRefresh() {
    return this.reload().then(() => wx.stopPullDownRefresh());
  },

  onRetry() {
    return this.reload();
  },

  reload() {
    return load(this, async () => {
      const me = await owner.getMe();
      if (!me.houses.length) {
        replace('login');
        return;
      }
      this.setHouses(me.houses, this.data.houseId || me.houses[0].house_id);
      this.setData({
        hotline: me.company.hotline || '',
        companyName: me.company.name,
      });
      await this.load();
    });
  },

  /** `stopped` is what the server says of the chosen house, whoever asked for it and when. */
  setHouses(houses, houseId) {
    const chosen = houses.find((house) => house.house_id === houseId);
    this.setData({ houses, houseId, stopped: Boolean(chosen && chosen.stopped) });
  },

  async load() {
    const page = await owner.listContacts({ houseId: this.data.houseId });
    const contacts = page.items.map(contactView);
    this.setData({ contacts, nextCursor: page.next_cursor || null, loaded: true });
  },

  onHouse(event) {
    if (this.data.busy) return undefined;
    this.setHouses(this.data.houses, event.currentTarget.dataset.id);
    this.setData({ loaded: false, contacts: [], nextCursor: null });
    return load(this, () => this.load());
  },

  onMore() {
    return act(this, async () => {
      const wish = { houseId: this.data.houseId, cursor: this.data.nextCursor };
      const page = await owner.listContacts(wish);
      const more = page.items.map((item, n) => contactView(item, `more${n}`));
      this.setData({ contacts: [...this.data.contacts, ...more], nextCursor: page.next_cursor });
    });
  },

  onStop() {
    return act(this, async () => {
      await owner.stopContact(this.data.houseId);
      this.setData({ stopped: true });
      toast('已登记，不再打扰您');
      const me = await owner.getMe().catch(() => null); // it holds at the other houses, too
      if (me) this.setHouses(me.houses, this.data.houseId);
    });
  },

  onLarge() {
    display.setLarge(!this.data.large);
    this.setData({ large: display.isLarge() });
  },

  onAddHouse() {
    open('login', { add: '1' });
  },

  onPromise() {
    open('promise', { house: this.data.houseId });
  },

  onHistory() {
    open('payments');
  },

  onCall() {
    wx.makePhoneCall({ phoneNumber: this.data.hotline });
  },
});
