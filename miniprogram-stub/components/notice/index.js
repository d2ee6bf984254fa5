/** A problem in words, staying until the next action; `problem` is {title, advice} or null. */
Component({
  properties: { problem: { type: Object, value: null } },
});
