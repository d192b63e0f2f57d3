/** Formats whose readers fail in each way that the file fuzzer must detect. */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Format } from "../fuzz/format.ts"

class Typed extends Error {
  readonly _tag = "MalformedFile"
}

const good = "good ".repeat(20)

const failing = (name: string, fail: (directory: string) => unknown): Format => ({
  name,
  files: { file: good },
  read: async (directory) => {
    if (readFileSync(join(directory, "file"), "utf8") !== good) await fail(directory)
  },
})

let remembered = false

export const formats: ReadonlyArray<Format> = [
  failing("right", () => undefined),
  failing("refused", () => {
    throw new Typed("it is not as it was")
  }),
  failing("untyped", () => (undefined as unknown as { length: number }).length),
  failing("lines", () => {
    throw new Typed("two\nlines")
  }),
  failing("raw", () => {
    throw new Typed("undefined is not an object")
  }),
  failing("writes", (directory) => writeFileSync(join(directory, "file"), "other")),
  failing("escapes", (directory) => writeFileSync(join(directory, "../../evil"), "")),
  failing("crashes", () => process.kill(process.pid, "SIGSEGV")),
  failing("hangs", () => {
    for (;;);
  }),
  {
    ...failing("remembers", () => undefined),
    read: async (directory) => {
      if (readFileSync(join(directory, "file"), "utf8") !== good) remembered = true
      if (remembered) throw new Typed("it was not as it should be")
    },
  },
]
