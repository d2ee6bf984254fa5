// An intent is one thing a person wants done once, however often the network makes us ask.

/** 32 hex digits; `crypto.randomUUID` is missing on plain http, `getRandomValues` is not. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/**
 * Keeps one Idempotency-Key for the same content over all retries. Corrected content is a new
 * intent and gets a new key (the server answers an old key with other content by a refusal).
 */
export class Intent {
  private key = newKey()
  private content: string | null = null

  keyFor(content: string): string {
    if (this.content !== null && this.content !== content) this.key = newKey()
    this.content = content
    return this.key
  }
}
