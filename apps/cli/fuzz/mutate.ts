/** Mutates files as disks, networks and users might: bits, pieces, lengths, words. */
import { Key } from "@spikeroute/core"

/** Draws a random integer from 0 to `below` − 1. */
type Draw = (below: number) => number

const joined = (...parts: ReadonlyArray<Uint8Array | ReadonlyArray<number>>): Uint8Array => {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

const put = (bytes: Uint8Array, at: number, part: ReadonlyArray<number>): Uint8Array =>
  joined(bytes.subarray(0, at), part, bytes.subarray(at + part.length)).subarray(0, bytes.length)

/** Words that break readers of numbers and names. */
const hostileWords = [
  ...["-1", "0", "1", "2", "255", "256", "65536", "2147483648", "4294967296", "1e20", "1e999", "-0", "0.5", "NaN"],
  ...["null", "true", "[]", "{}", '""', '"x"', "[1]", '{"a":1}', '"__proto__"', '"constructor"', '"\\u0000"'],
  ...["../../evil", "/etc/passwd", '"a\\nb\\u001b[31m"', "\u001b[31mred\n", '"', ",", ":", "}", "]"],
  `"${"x".repeat(5000)}"`,
  "9".repeat(400),
]

const word = /"(?:[^"\\\n]|\\.)*"|-?\d+(?:\.\d+)?|[A-Za-z_][\w./-]*/g

/** The words in the first 64 KB of a file, decoded as Latin-1 so that positions are byte offsets. */
const wordsOf = (bytes: Uint8Array): ReadonlyArray<{ readonly at: number; readonly text: string }> =>
  Array.from(
    Buffer.from(bytes.subarray(0, 1 << 16))
      .toString("latin1")
      .matchAll(word),
    (match) => ({
      at: match.index,
      text: match[0],
    }),
  )

const replaced = (bytes: Uint8Array, { at, text }: { readonly at: number; readonly text: string }, by: string) =>
  joined(bytes.subarray(0, at), Buffer.from(by, "latin1"), bytes.subarray(at + text.length))

/** Numbers of 1, 2, 4 and 8 bytes, little-endian, that are hostile as lengths and offsets. */
const hostileNumbers: ReadonlyArray<ReadonlyArray<number>> = [
  ...[[0], [1], [127], [128], [255]],
  ...[
    [0, 0],
    [255, 255],
    [255, 127],
    [0, 128],
  ],
  ...[
    [0, 0, 0, 0],
    [1, 0, 0, 0],
    [255, 255, 255, 255],
    [255, 255, 255, 127],
    [0, 0, 0, 128],
    [0, 0, 192, 127],
    [0, 0, 128, 127],
  ],
  ...[new Array(8).fill(0), new Array(8).fill(255), [255, 255, 255, 255, 255, 255, 255, 127], [0, 0, 0, 0, 1, 0, 0, 0]],
]

/** Beginnings of files of other types. */
const others = [
  "",
  "\n",
  "PK\u0003\u0004",
  "\u001f\u008b\u0008",
  "<!DOCTYPE html><html>",
  "\u0089PNG\r\n\u001a\n",
  "#!AER-DAT4.0\r\n",
  "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
  "[]",
  "{}",
  "null",
  "1",
]

/** Replaces a word by a hostile one or by another word of the file. */
const wordChanges = [false, false, true].map((own) => (bytes: Uint8Array, draw: Draw) => {
  const words = wordsOf(bytes)
  if (words.length === 0) return put(bytes, draw(bytes.length), [draw(256)])
  const by = own ? (words[draw(words.length)]?.text ?? "") : (hostileWords[draw(hostileWords.length)] as string)
  return replaced(bytes, words[draw(words.length)] as (typeof words)[number], by)
})

const changes: ReadonlyArray<(bytes: Uint8Array, draw: Draw) => Uint8Array> = [
  // Change a bit or a byte.
  (bytes, draw) => {
    const at = draw(bytes.length)
    return put(bytes, at, [(bytes[at] ?? 0) ^ (1 << draw(8))])
  },
  (bytes, draw) => put(bytes, draw(bytes.length), [draw(256)]),
  // Truncate; remove, insert, duplicate or move a piece; append bytes.
  (bytes, draw) => bytes.subarray(0, draw(bytes.length)),
  (bytes, draw) => {
    const at = draw(bytes.length)
    return joined(bytes.subarray(0, at), bytes.subarray(at + 1 + draw(64)))
  },
  (bytes, draw) => {
    const at = draw(bytes.length)
    return joined(
      bytes.subarray(0, at),
      Array.from({ length: 1 + draw(16) }, () => draw(256)),
      bytes.subarray(at),
    )
  },
  (bytes, draw) => {
    const [at, length] = [draw(bytes.length), 1 + draw(256)]
    return joined(bytes.subarray(0, at + length), bytes.subarray(at, at + length), bytes.subarray(at + length))
  },
  (bytes, draw) => {
    const [a, b] = [draw(bytes.length), draw(bytes.length)].sort((x, y) => x - y) as [number, number]
    return joined(bytes.subarray(0, a), bytes.subarray(b), bytes.subarray(a, b))
  },
  (bytes, draw) =>
    joined(
      bytes,
      Array.from({ length: 1 + draw(64) }, () => draw(256)),
    ),
  // Write a hostile number, in the header or anywhere, in either byte order.
  ...[64, Number.POSITIVE_INFINITY].map((within) => (bytes: Uint8Array, draw: Draw) => {
    const number = hostileNumbers[draw(hostileNumbers.length)] as ReadonlyArray<number>
    return put(bytes, draw(Math.min(within, bytes.length)), draw(2) === 0 ? number : number.toReversed())
  }),
  ...wordChanges,
]

/** The `number`-th mutation of a file for a seed: usually one change, sometimes up to three, rarely a different file. */
export const mutate = (bytes: Uint8Array, seed: number, format: string, number: number) => {
  const random = Key.generator(Key.fold(Key.make(seed), "mutation", format, number))
  const draw: Draw = (below) => Math.floor(random.nextDoubleUnsafe() * Math.max(1, below))
  if (draw(60) === 0)
    return { bytes: Uint8Array.from(Buffer.from(others[draw(others.length)] as string, "latin1")), repair: false }
  // Most other changes to JSON only cause a syntax error.
  const own = bytes.includes(0x7b) && bytes.includes(0x22) && draw(2) === 0 ? wordChanges : changes
  let changed = bytes
  for (let count = draw(3) === 0 ? 1 + draw(3) : 1; count > 0; count--)
    changed = (own[draw(own.length)] as (typeof own)[number])(changed, draw)
  // Some changes leave the bytes as they were.
  if (Buffer.from(changed).equals(bytes)) changed = put(bytes, 0, [(bytes[0] ?? 0) ^ 1])
  return { bytes: Uint8Array.from(changed), repair: draw(2) === 0 }
}
