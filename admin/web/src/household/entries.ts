// A household's records as dated entries, the same on phone and desk.
import type { Household } from '@/api/types'
import { dayText, instantText } from '@/lib/dates'
import { fenText } from '@/lib/money'
import { zh } from '@/messages/zh'
import type { Entry } from './Timeline.vue'

function filled(...lines: (string | null | undefined | false)[]): string[] {
  return lines.filter((line): line is string => Boolean(line))
}

export function contactEntries(household: Household, today: string): Entry[] {
  return household.contacts.map((contact) => ({
    id: contact.id,
    when: instantText(contact.at, today),
    title: contact.kind_text,
    mark: contact.result_text,
    lines: filled(
      contact.reason_text && `${zh.record.reason}：${contact.reason_text}`,
      contact.note,
      contact.second_name
        ? `${contact.steward_name} · ${zh.house.second} ${contact.second_name}`
        : contact.steward_name,
    ),
  }))
}

export function promiseEntries(household: Household, today: string): Entry[] {
  return household.promises.map((promise) => ({
    id: promise.id,
    when: dayText(promise.day, today),
    title: `${zh.yuan}${fenText(promise.amount_fen)}`,
    mark: promise.state_text,
    lines: filled(promise.made_by && `${zh.house.madeBy}：${promise.made_by}`),
  }))
}

export function messageEntries(household: Household, today: string): Entry[] {
  return household.messages.map((message) => ({
    id: message.id,
    when: instantText(message.at, today),
    title: `${message.channel_text} · ${message.event_text}`,
    mark: message.state_text,
    lines: filled(message.text),
  }))
}

export function paymentEntries(household: Household, today: string): Entry[] {
  return household.payments.map((payment) => ({
    id: payment.out_trade_no,
    when: instantText(payment.at, today),
    title: `${zh.yuan}${payment.amount_text}`,
    mark: payment.state_text,
    lines: filled(`${payment.channel_text} · ${payment.out_trade_no}`),
  }))
}
