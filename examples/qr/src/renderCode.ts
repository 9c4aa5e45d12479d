import { crc32, deflateSync } from "node:zlib";
import QRCode from "qrcode";
import type { QrOptions } from "./options.ts";
import { ParameterError } from "./options.ts";

/**
 * A QR code as a PNG of one bit a pixel (PNG, ISO/IEC 15948). The library finds the modules; its own renderer works in
 * four bytes a pixel and takes several times as long.
 * @throws ParameterError if the wanted size has less than a pixel for each module
 */
export function renderCode({ text, size, margin, level }: QrOptions): Buffer {
  const { modules } = QRCode.create(text, { errorCorrectionLevel: level });
  const modulesAcross = modules.size + 2 * margin;
  const pixels = size ?? modulesAcross * PIXELS_PER_MODULE;
  if (pixels < modulesAcross) throw new ParameterError(`size: this text needs at least ${modulesAcross} pixels`);

  const moduleAt = Array.from({ length: pixels }, (_, pixel) => Math.floor((pixel * modulesAcross) / pixels) - margin);
  const bytesPerRow = 1 + Math.ceil(pixels / 8);
  const rows = Buffer.alloc(bytesPerRow * pixels, 0xff);
  for (const [y, row] of moduleAt.entries()) {
    const start = y * bytesPerRow;
    // Every row begins with its filter: none.
    rows[start] = 0;
    if (row < 0 || row >= modules.size) continue;
    for (const [x, column] of moduleAt.entries()) {
      if (column < 0 || column >= modules.size || modules.get(row, column) === 0) continue;
      const at = start + 1 + (x >> 3);
      rows[at] = (rows[at] ?? 0) & ~(0x80 >> (x & 7));
    }
  }

  const header = Buffer.alloc(13);
  header.writeUInt32BE(pixels, 0);
  header.writeUInt32BE(pixels, 4);
  // One bit a sample, grey; deflate, adaptive filters and no interlace are zeros.
  header[8] = 1;
  return Buffer.concat([
    SIGNATURE,
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

const PIXELS_PER_MODULE = 4;
const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  body.copy(framed, 4);
  framed.writeUInt32BE(crc32(body), framed.length - 4);
  return framed;
}
