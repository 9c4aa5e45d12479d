import type { Invoice } from "@tollgate/contracts";
import PDFDocument from "pdfkit";
import type { InvoiceText } from "./invoiceText.ts";
import { describeInvoice } from "./invoiceText.ts";

/** Points; an A4 page is 595 by 842. */
const MARGIN = 50;
const RIGHT = 595 - MARGIN;
const BOTTOM = 842 - 80;
const INK = "#16181d";
const MUTED = "#666677";
const COLUMNS = { quantity: 300, unitPrice: 370, amount: 460 } as const;
const ROW_HEIGHT = 32;

/** The invoice as a PDF, over as many A4 pages as its lines need, each with its number. */
export async function renderInvoicePdf(invoice: Invoice): Promise<Buffer> {
  const text = describeInvoice(invoice);
  const document = new PDFDocument({
    size: "A4",
    margin: MARGIN,
    bufferPages: true,
    info: {
      Title: `${text.title} ${text.number}`,
      Author: printable(invoice.seller.name),
      CreationDate: invoice.createdAt,
    },
  });
  const chunks: Buffer[] = [];
  const done = new Promise<Buffer>((resolve, reject) => {
    document.on("data", (chunk: Buffer) => chunks.push(chunk));
    document.on("end", () => resolve(Buffer.concat(chunks)));
    document.on("error", reject);
  });
  const top = drawHead(document, text);
  drawTotals(document, text, drawLines(document, text, top));
  numberPages(document, text);
  document.end();
  return done;
}

type Document = InstanceType<typeof PDFDocument>;

function drawHead(document: Document, text: InvoiceText): number {
  document.fillColor(INK).font("Helvetica-Bold").fontSize(24).text(text.title, MARGIN, MARGIN);
  document.font("Helvetica").fontSize(11).text(text.number, MARGIN, 80);
  document.font("Helvetica-Bold").text(text.status, RIGHT - 150, 58, { width: 150, align: "right" });
  rule(document, 104, 1.5);
  const ends = [drawParty(document, "FROM", text.from, MARGIN), drawParty(document, "TO", text.to, 310)];
  let y = Math.max(...ends) + 18;
  for (const [label, value] of text.facts) {
    document.font("Helvetica").fontSize(9).fillColor(MUTED).text(label, MARGIN, y);
    document.fillColor(INK).text(value, MARGIN + 70, y);
    y += 14;
  }
  return y + 20;
}

function drawParty(document: Document, title: string, lines: readonly string[], x: number): number {
  document.font("Helvetica").fontSize(8).fillColor(MUTED).text(title, x, 120, { characterSpacing: 0.6 });
  document.fontSize(10).fillColor(INK);
  let y = 134;
  for (const [index, line] of lines.entries()) {
    document.font(index === 0 ? "Helvetica-Bold" : "Helvetica").text(printable(line), x, y, { width: 225 });
    y = document.y + 1;
  }
  return y;
}

function drawColumns(document: Document, y: number): number {
  document.font("Helvetica").fontSize(8).fillColor(MUTED);
  document.text("DESCRIPTION", MARGIN, y, { characterSpacing: 0.6 });
  right(document, "QUANTITY", COLUMNS.quantity, COLUMNS.unitPrice, y);
  right(document, "UNIT PRICE", COLUMNS.unitPrice, COLUMNS.amount, y);
  right(document, "AMOUNT", COLUMNS.amount, RIGHT, y);
  rule(document, y + 14, 0.75);
  return y + 22;
}

function drawLines(document: Document, text: InvoiceText, top: number): number {
  let y = drawColumns(document, top);
  for (const line of text.lines) {
    if (y + ROW_HEIGHT > BOTTOM) {
      document.addPage();
      y = drawColumns(document, MARGIN);
    }
    document.font("Helvetica").fontSize(10).fillColor(INK);
    document.text(printable(line.description), MARGIN, y, oneLine(COLUMNS.quantity - MARGIN));
    right(document, line.quantity, COLUMNS.quantity, COLUMNS.unitPrice, y);
    right(document, line.unitPrice, COLUMNS.unitPrice, COLUMNS.amount, y);
    right(document, line.amount, COLUMNS.amount, RIGHT, y);
    document
      .fontSize(8)
      .fillColor(MUTED)
      .text(line.project, MARGIN, y + 12, oneLine(COLUMNS.quantity - MARGIN));
    rule(document, y + 25, 0.25);
    y += ROW_HEIGHT;
  }
  return y;
}

function drawTotals(document: Document, text: InvoiceText, from: number): void {
  const height = text.totals.length * 18 + 40;
  let y = from + 10;
  if (y + height > BOTTOM) {
    document.addPage();
    y = MARGIN;
  }
  for (const [index, [label, value]] of text.totals.entries()) {
    const isLast = index === text.totals.length - 1;
    if (isLast) document.moveTo(330, y).lineTo(RIGHT, y).lineWidth(1.5).strokeColor(INK).stroke();
    y += isLast ? 7 : 0;
    document
      .font(isLast ? "Helvetica-Bold" : "Helvetica")
      .fontSize(isLast ? 12 : 10)
      .fillColor(INK)
      .text(label, 330, y);
    right(document, value, 420, RIGHT, y);
    y += 18;
  }
  if (text.note !== null)
    document
      .font("Helvetica")
      .fontSize(9)
      .fillColor(MUTED)
      .text(printable(text.note), MARGIN, y + 10, { width: RIGHT - MARGIN });
}

function numberPages(document: Document, text: InvoiceText): void {
  const { count } = document.bufferedPageRange();
  for (let index = 0; index < count; index += 1) {
    document.switchToPage(index);
    // Below the margin, where text would otherwise begin another page.
    document.page.margins.bottom = 0;
    document.font("Helvetica").fontSize(8).fillColor(MUTED);
    document.text(`${text.title} ${text.number}`, MARGIN, 805, { lineBreak: false });
    right(document, `Page ${index + 1} of ${count}`, 400, RIGHT, 805);
  }
}

function right(document: Document, text: string, from: number, to: number, y: number): void {
  document.text(text, from, y, { width: to - from, align: "right", lineBreak: false });
}

function rule(document: Document, y: number, width: number): void {
  document
    .moveTo(MARGIN, y)
    .lineTo(RIGHT, y)
    .lineWidth(width)
    .strokeColor(width < 0.5 ? "#ccccdd" : INK)
    .stroke();
}

const oneLine = (width: number) => ({ width: width - 8, height: 12, ellipsis: true, lineBreak: true }) as const;

/** The standard fonts know the Latin letters of Western Europe; what they lack is shown as a question mark, not as garbage. */
const printable = (text: string): string =>
  text.normalize("NFC").replace(/[^\u0020-\u007e\u00a0-\u00ff–—‘’“”…€]/gu, "?");
