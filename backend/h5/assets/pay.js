// The page works without this file; it adds the running total, one tap at a time,
// copying the link, and polling.
(function () {
  'use strict'
  var boxes = Array.prototype.slice.call(document.querySelectorAll('input[name=bill]'))
  var total = document.getElementById('total')
  function yuan(fen) {
    return Math.floor(fen / 100) + '.' + ('0' + (fen % 100)).slice(-2)
  }
  function show() {
    var fen = boxes.reduce(function (sum, box) {
      return sum + (box.checked ? Number(box.dataset.fen) : 0)
    }, 0)
    total.textContent = yuan(fen)
    document.querySelectorAll('button[name=channel]').forEach(function (button) {
      button.disabled = fen === 0
    })
  }
  // one tap, one order: the buttons rest until the next page comes, or until this one is back
  var PATIENCE_MS = 20000
  var forms = Array.prototype.slice.call(document.querySelectorAll('form'))
  function rest(form, busy) {
    form.dataset.busy = busy ? 'yes' : ''
    form.setAttribute('aria-busy', String(busy))
    form.querySelectorAll('button').forEach(function (button) {
      button.disabled = busy
      if (busy) button.dataset.said = button.textContent
      if (busy && button === form.tapped) button.textContent = '正在打开，请稍候…'
      if (!busy && button.dataset.said) button.textContent = button.dataset.said
    })
  }
  function ready() {
    forms.forEach(function (form) { rest(form, false) })
    if (total && boxes.length) show()
  }
  forms.forEach(function (form) {
    form.addEventListener('submit', function (event) {
      if (form.dataset.busy) { event.preventDefault(); return }
      form.dataset.busy = 'yes'
      form.tapped = event.submitter || form.querySelector('button')
      // not at once: a disabled button would not be sent, and with it the channel
      setTimeout(function () { rest(form, true) }, 0)
      setTimeout(ready, PATIENCE_MS)
    })
  })
  window.addEventListener('pageshow', ready)
  boxes.forEach(function (box) { box.addEventListener('change', show) })
  ready()
  var copy = document.getElementById('copy')
  if (copy) {
    copy.hidden = false
    copy.addEventListener('click', function () {
      var text = document.getElementById('link').textContent.trim()
      function done() { copy.textContent = '已复制，请到浏览器粘贴打开' }
      if (navigator.clipboard) { navigator.clipboard.writeText(text).then(done) } else {
        var area = document.createElement('textarea')
        area.value = text
        document.body.appendChild(area)
        area.select()
        document.execCommand('copy')
        area.remove()
        done()
      }
    })
  }
  var waiting = document.getElementById('waiting')
  if (waiting) {
    var poll = function () {
      fetch(waiting.dataset.state, { headers: { Accept: 'application/json' } })
        .then(function (answer) { return answer.json() })
        .then(function (body) {
          if (body.paid || body.state === 'closed') { location.replace(waiting.dataset.page) } else {
            setTimeout(poll, 2000)
          }
        })
        .catch(function () { setTimeout(poll, 4000) })
    }
    setTimeout(poll, 2000)
  }
})()
