/** One caught message for one recipient. */
export interface CaughtMail {
  readonly id: number;
  /** The recipient of the envelope, or the stand-in that it was posted to; lower-cased. */
  readonly to: string;
  readonly from: string;
  readonly subject: string;
  readonly text: string;
  /** Empty when the message has no HTML part. */
  readonly html: string;
  /** ISO 8601. */
  readonly at: string;
}

const MAILS_MAX = 1_000;

/** The last thousand caught messages, oldest first. */
export class Mailbox {
  #mails: CaughtMail[] = [];
  #lastId = 0;

  add(mail: Omit<CaughtMail, "id">): void {
    this.#lastId += 1;
    this.#mails.push({ ...mail, id: this.#lastId, to: mail.to.toLowerCase() });
    if (this.#mails.length > MAILS_MAX) this.#mails.shift();
  }

  /** All messages, or those to one address in any case, newest last. */
  list(to?: string): readonly CaughtMail[] {
    const address = to?.trim().toLowerCase();
    return address === undefined ? this.#mails : this.#mails.filter((mail) => mail.to === address);
  }

  find(id: number): CaughtMail | undefined {
    return this.#mails.find((mail) => mail.id === id);
  }

  clear(): void {
    this.#mails = [];
  }
}
