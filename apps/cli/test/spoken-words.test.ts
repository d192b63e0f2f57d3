/** From a folder of WAV files to a trained recurrent network and a program file, in three commands. */
import { expect, test } from "bun:test"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { load } from "@spikeroute/backend-wasm/infer"
import { open } from "@spikeroute/datasets"
import { Effect, Layer } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { run, temporaryDirectory } from "./support.ts"

const rate = 4000

/** A word of two tones, as a 16-bit WAV file. */
const word = (first: number, second: number, seconds: number): Uint8Array => {
  const count = Math.round(seconds * rate)
  const file = Buffer.alloc(44 + 2 * count)
  file.write("RIFF")
  file.writeUInt32LE(36 + 2 * count, 4)
  file.write("WAVEfmt ", 8)
  ;[16, 0x0001_0001, rate, 2 * rate, 0x0010_0002].forEach((field, i) => {
    file.writeUInt32LE(field, 16 + 4 * i)
  })
  file.write("data", 36)
  file.writeUInt32LE(2 * count, 40)
  for (let i = 0; i < count; i++) {
    const hertz = i < count / 2 ? first : second
    file.writeInt16LE(Math.round(12000 * Math.sin((2 * Math.PI * hertz * i) / rate)), 44 + 2 * i)
  }
  return file
}

test("train, eval and export on words that differ only in the order of their tones", async () => {
  const root = temporaryDirectory()
  const data = join(root, "words")
  for (const [name, tones] of Object.entries({ rising: [300, 900], falling: [900, 300], level: [600, 600] })) {
    mkdirSync(join(data, name), { recursive: true })
    for (let i = 0; i < 20; i++) {
      const [first = 0, second = 0] = tones.map((hertz) => hertz * (1 + i / 100))
      writeFileSync(join(data, name, `${i}.wav`), word(first, second, 0.3 + i / 200))
    }
  }
  const path = join(root, "run")
  const options =
    "--policy bptt --tau 4 --duration 0.4 --time-steps 12 --width 0.25 --epochs 8 --batch-size 8 --lr 0.005 --backend wasm --workers 0".split(
      " ",
    )
  const trained = await run("train", "--dataset", "audio-folder", "--data-dir", data, ...options, "--out", path)
  expect(trained).toMatchObject({ code: 0 })
  const evaluated = await run("eval", path, "--json", "--workers", "0")
  const { testAccuracy, operations } = JSON.parse(evaluated.stdout)
  expect(testAccuracy).toBeGreaterThan(0.9)
  // Two recurrent layers have five linear layers: the first takes audio, the others spikes.
  const synapses = operations.layers.filter((each: { denseOperations: number }) => each.denseOperations > 0)
  expect(synapses.map((each: { effectiveMACs: number }) => each.effectiveMACs > 0)).toEqual([
    true,
    false,
    false,
    false,
    false,
  ])
  expect((await run("export", path, "--format", "program")).code).toBe(0)

  const kernels = readFileSync(fileURLToPath(import.meta.resolve("@spikeroute/backend-wasm/spikeroute.wasm")))
  const model = load(new WebAssembly.Module(kernels), new Uint8Array(readFileSync(join(path, "program.safetensors"))))
  const services = Layer.mergeAll(NodeServices.layer, FetchHttpClient.layer)
  const settings = { timeSteps: 12, dataDir: data, duration: 0.4 }
  const right = await Effect.runPromise(
    Effect.gen(function* () {
      const { test } = yield* open("audio-folder", settings)
      const answers: Array<boolean> = []
      for (let i = 0; i < test.size; i++) {
        const frames = new Float32Array(12 * 40)
        yield* test.write([i], undefined, frames)
        answers.push(model.predict(frames).classes[0] === test.label(i))
      }
      return answers.filter(Boolean).length / answers.length
    }).pipe(Effect.provide(services)),
  )
  expect(right).toBeCloseTo(testAccuracy, 10)
}, 120_000)
