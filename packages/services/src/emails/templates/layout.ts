/**
 * The one layout of all mails. A template says what it has to say as a heading and blocks; from these come the HTML, which
 * works without images, scripts and style sheets that mail programs drop, and the plain text, which says the same.
 */
export type EmailBlock =
  | { readonly kind: "text"; readonly text: string }
  /** Something to copy by hand. */
  | { readonly kind: "code"; readonly code: string }
  | { readonly kind: "button"; readonly label: string; readonly url: string }
  /** Small print. */
  | { readonly kind: "note"; readonly text: string };

export interface EmailContent {
  readonly subject: string;
  readonly heading: string;
  readonly blocks: readonly EmailBlock[];
}

export interface RenderedEmail {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

/** `unsubscribeUrl`: for mails that people may unsubscribe from, the way to do so. */
export function renderLayout(content: EmailContent, unsubscribeUrl?: string): RenderedEmail {
  return {
    subject: content.subject,
    text: renderText(content, unsubscribeUrl),
    html: renderHtml(content, unsubscribeUrl),
  };
}

const SIGNATURE = "Tollgate";

function renderText(content: EmailContent, unsubscribeUrl: string | undefined): string {
  const end = unsubscribeUrl === undefined ? SIGNATURE : `${SIGNATURE}\n\nUnsubscribe: ${unsubscribeUrl}`;
  return `${[content.heading, ...content.blocks.map(blockText), `-- \n${end}`].join("\n\n")}\n`;
}

function blockText(block: EmailBlock): string {
  switch (block.kind) {
    case "text":
    case "note":
      return block.text;
    case "code":
      return block.code;
    case "button":
      return `${block.label}: ${block.url}`;
  }
}

const FONT = "-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";
const MONOSPACE = "ui-monospace,SFMono-Regular,Menlo,Consolas,monospace";

function renderHtml(content: EmailContent, unsubscribeUrl: string | undefined): string {
  const heading = escapeHtml(content.heading);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>${escapeHtml(content.subject)}</title>
<style>
@media (prefers-color-scheme: dark) {
  .page { background: #14161a !important; }
  .card { background: #1e2127 !important; border-color: #333842 !important; }
  .ink { color: #f1f2f4 !important; }
  .soft { color: #a3a9b5 !important; }
  .code { background: #14161a !important; border-color: #333842 !important; color: #f1f2f4 !important; }
}
</style>
</head>
<body class="page" style="margin:0;padding:0;background:#f4f5f7;">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" class="page" style="background:#f4f5f7;">
<tr><td align="center" style="padding:32px 16px;">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" class="card" style="max-width:520px;background:#ffffff;border:1px solid #e3e5e9;border-radius:12px;">
<tr><td style="padding:32px;font-family:${FONT};overflow-wrap:anywhere;word-break:break-word;">
<p class="soft" style="margin:0 0 24px;font-size:13px;font-weight:600;letter-spacing:.04em;color:#6a7180;">${SIGNATURE}</p>
<h1 class="ink" style="margin:0 0 16px;font-size:22px;line-height:1.3;font-weight:650;color:#16181d;">${heading}</h1>
${content.blocks.map(renderBlock).join("\n")}
</td></tr>
</table>
${unsubscribeUrl === undefined ? "" : renderUnsubscribe(unsubscribeUrl)}
</td></tr>
</table>
</body>
</html>
`;
}

function renderUnsubscribe(url: string): string {
  return `<p class="soft" style="margin:16px 0 0;font-family:${FONT};font-size:12px;line-height:1.6;color:#6a7180;">You get this mail because you have an account. <a class="soft" href="${escapeHtml(url)}" style="color:#6a7180;">Unsubscribe</a></p>`;
}

function renderBlock(block: EmailBlock): string {
  switch (block.kind) {
    case "text":
      return `<p class="ink" style="margin:0 0 16px;font-size:15px;line-height:1.6;color:#16181d;">${escapeHtml(block.text)}</p>`;
    case "note":
      return `<p class="soft" style="margin:0 0 16px;font-size:13px;line-height:1.6;color:#6a7180;">${escapeHtml(block.text)}</p>`;
    case "code":
      return `<p class="code" style="margin:0 0 20px;padding:16px;font-family:${MONOSPACE};font-size:28px;line-height:1.2;letter-spacing:.16em;text-align:center;color:#16181d;background:#f4f5f7;border:1px solid #e3e5e9;border-radius:8px;">${escapeHtml(block.code)}</p>`;
    case "button":
      return `<p style="margin:8px 0 24px;"><a href="${escapeHtml(block.url)}" style="display:inline-block;padding:12px 20px;font-size:15px;font-weight:600;color:#ffffff;background:#2f5fde;border-radius:8px;text-decoration:none;">${escapeHtml(block.label)}</a></p>`;
  }
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
