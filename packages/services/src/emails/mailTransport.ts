/** A file that goes along with a mail. */
export interface MailAttachment {
  readonly fileName: string;
  readonly contentType: string;
  readonly content: Buffer;
}

/** A mail on its way out. */
export interface OutgoingMail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  /** The same each time the mail is tried, so that a mailbox that gets it twice can tell (RFC 5322, section 3.6.4). */
  readonly messageId: string;
  /** For mails that people may unsubscribe from: a POST there does it (RFC 8058). */
  readonly unsubscribeUrl?: string;
  readonly attachments?: readonly MailAttachment[];
}

/** Whatever carries mails. It resolves when the next station has taken the mail, and throws when it has not. */
export interface MailTransport {
  send(mail: OutgoingMail): Promise<void>;
  close(): Promise<void>;
}

/** The mail was refused for good: the recipient does not exist, or the content is not taken. A retry does not help. */
export class MailRejectedError extends Error {
  override readonly name = "MailRejectedError";
  /** The mailbox does not exist: further mails to it would be refused as well, and would harm the sender's standing. */
  readonly isUndeliverable: boolean;

  constructor(message: string, options: { readonly cause?: unknown; readonly isUndeliverable?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.isUndeliverable = options.isUndeliverable ?? false;
  }
}
