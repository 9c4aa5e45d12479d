import { createHash } from "node:crypto";
import { createServer } from "node:net";
import { reportPort } from "./reportPort.ts";

/**
 * The upstream of every candidate: the cheapest server there is, which answers whatever comes with the same small JSON, or
 * with a mebibyte where that is asked for, and takes a WebSocket without ever saying anything on it.
 */
const BODY = JSON.stringify({ city: "Lisbon", temperatureCelsius: 21.5, wind: { speedMps: 3.2, degrees: 310 } });
const ANSWER = Buffer.from(
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${BODY.length}\r\n\r\n${BODY}`,
  "latin1",
);
const ARCHIVE = Buffer.alloc(1024 * 1024, "a");
const ARCHIVE_ANSWER = Buffer.concat([
  Buffer.from(`HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${ARCHIVE.length}\r\n\r\n`, "latin1"),
  ARCHIVE,
]);
/** The gateway leaves the API's part of the path away, the floors do not. */
const ARCHIVE_REQUEST = /^GET \S*\/archive /;
const HEAD_END = "\r\n\r\n";
const SOCKET_KEY = /^sec-websocket-key: *(\S+)$/im;
/** From RFC 6455, section 1.3. */
const SOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const takeSocket = (key: string): string => {
  const accept = createHash("sha1").update(`${key}${SOCKET_GUID}`).digest("base64");
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
};

const server = createServer({ noDelay: true }, (socket) => {
  let rest = "";
  socket.on("data", (chunk) => {
    rest += chunk.toString("latin1");
    // Requests have no body here, so a head is a request; a proxy might pipeline.
    for (let end = rest.indexOf(HEAD_END); end !== -1; end = rest.indexOf(HEAD_END)) {
      const socketKey = SOCKET_KEY.exec(rest.slice(0, end))?.[1];
      if (socketKey !== undefined) {
        socket.removeAllListeners("data").resume();
        socket.write(takeSocket(socketKey));
        return;
      }
      socket.write(ARCHIVE_REQUEST.test(rest) ? ARCHIVE_ANSWER : ANSWER);
      rest = rest.slice(end + HEAD_END.length);
    }
  });
  socket.on("error", () => socket.destroy());
});
server.listen(0, "127.0.0.1", () => reportPort(server));
