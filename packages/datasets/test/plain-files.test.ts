/** Only plain files are opened: opening a FIFO would block indefinitely. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { Effect } from "effect"
import { open, readShd } from "../src/index.ts"
import { aedat3Header, cifarRecord, failure, jpeg, mnistFiles, nmnistEvent } from "./support.ts"

const root = mkdtempSync(join(tmpdir(), "spikeroute-plain-"))
const server = createServer()

const recording = Uint8Array.from(nmnistEvent(1, 1, 1, 5))
const cifar = Uint8Array.from(cifarRecord([1], () => 0))
const digit = `${new Array(65).fill(1).join(",")}\n`
const labels = "class,startTime_usec,endTime_usec\n1,2,3\n"

/** The files of a data set, and the one that is replaced. */
const sets: ReadonlyArray<readonly [name: string, files: Record<string, Uint8Array | string>, replaced: string]> = [
  ["mnist", mnistFiles(1, 1), "t10k-labels-idx1-ubyte.gz"],
  ["cifar10", { "data_batch_1.bin": cifar, "test_batch.bin": cifar }, "test_batch.bin"],
  ["optdigits", { "optdigits.tra": digit, "optdigits.tes": digit }, "optdigits.tes"],
  ["nmnist", { "Train/0/1.bin": recording, "Test/0/1.bin": recording }, "Test/0/1.bin"],
  ["image-folder", { "train/a/1.jpg": jpeg(1), "val/a/1.jpg": jpeg(1) }, "val/a/1.jpg"],
  ["shd", { "shd_train.h5": "" }, "shd_train.h5"],
  [
    "dvs-gesture",
    {
      "trials_to_train.txt": "u.aedat\n",
      "trials_to_test.txt": "u.aedat\n",
      "u_labels.csv": labels,
      "u.aedat": Uint8Array.from(aedat3Header),
    },
    "u.aedat",
  ],
  ["dvs-gesture", { "trials_to_train.txt": "u.aedat\n", "u_labels.csv": labels, "u.aedat": "" }, "u_labels.csv"],
  ["dvs-gesture", { "trials_to_train.txt": "" }, "trials_to_train.txt"],
]

const kinds: ReadonlyArray<readonly [kind: string, make: (path: string) => void]> = [
  ["a directory", (path) => mkdirSync(path)],
  ["a pipe", (path) => execFileSync("mkfifo", [path])],
  ["a device", (path) => symlinkSync("/dev/zero", path)],
  ["a socket", (path) => symlinkSync(join(root, "socket"), path)],
]

beforeAll(() => new Promise<void>((resolve) => server.listen(join(root, "socket"), resolve)))
afterAll(() => {
  server.close()
  rmSync(root, { recursive: true, force: true })
})

for (const [kind, make] of kinds)
  test(`${kind} in place of a file is refused immediately, by name`, async () => {
    for (const [i, [name, files, replaced]] of sets.entries()) {
      const dataDir = join(root, `${kind.slice(2)}-${i}`)
      for (const [file, content] of Object.entries(files)) {
        mkdirSync(dirname(join(dataDir, file)), { recursive: true })
        if (file !== replaced) writeFileSync(join(dataDir, file), content)
      }
      const path = join(dataDir, replaced)
      make(path)
      const options = { timeSteps: 1, dataDir, ...(name === "image-folder" && { size: 4 }) }
      const error = await failure(
        Effect.flatMap(open(name, options), ({ shape, test: split }) =>
          split.write([0], undefined, new Float32Array(shape.reduce((a, b) => a * b, 1))),
        ),
      )
      const problem = expect.stringContaining(kind)
      expect([name, error]).toMatchObject([name, { _tag: "FileFailed", file: path, problem }])
      if (name === "shd") expect((await failure(readShd(path, 20)))._tag).toBe("FileFailed")
    }
  })
