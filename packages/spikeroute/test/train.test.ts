/** Training and prediction as promises. */
import { expect, test } from "bun:test"
import { layer } from "@spikeroute/backend-reference"
import { firstOf } from "../src/backend.ts"
import {
  BackendUnavailableError,
  Graph,
  InputError,
  LabelError,
  Losses,
  leakyReadout,
  lif,
  linear,
  OptionError,
  train,
} from "../src/index.ts"

/** Four patterns of eight inputs, of four classes, each with a little noise. */
const samplesOf = (count: number, steps = 1) => {
  const inputs = new Float32Array(count * steps * 8)
  const labels = Uint8Array.from({ length: count }, (_, n) => n % 4)
  for (let n = 0; n < count; n++)
    for (let t = 0; t < steps; t++)
      for (let i = 0; i < 8; i++)
        inputs[(n * steps + t) * 8 + i] = Math.floor(i / 2) === n % 4 ? 3 : ((n * 7 + i * 3) % 5) / 20
  return { inputs, labels }
}
const network = Graph.sequential(linear({ features: 16 }), lif({ tau: 2 }), linear({ features: 4 }))
const options = { shape: [8], backend: layer, batchSize: 8, timeSteps: 3 } as const

const lossesOf = async (seed: number) => {
  await using trainer = await train.create(network, { ...options, seed })
  const losses: Array<number> = []
  for await (const { loss } of trainer.epochs(samplesOf(20), { epochs: 3, learningRate: 0.01 })) losses.push(loss)
  return losses
}

test("a network learns, predicts any number of samples, and continues from saved tensors", async () => {
  await using trainer = await train.create(network, options)
  const accuracies: Array<number | undefined> = []
  for await (const { epoch, accuracy, firingRates } of trainer.epochs(samplesOf(40), {
    epochs: 12,
    learningRate: 0.02,
  })) {
    expect(epoch).toBe(accuracies.length + 1)
    expect(firingRates[0]).toBeGreaterThan(0)
    accuracies.push(accuracy)
  }
  expect(accuracies.at(-1)).toBe(1)
  const { inputs, labels } = samplesOf(13)
  const known = await trainer.predict(inputs)
  expect(known.classes).toEqual(Uint32Array.from(labels))
  expect(known.outputs).toHaveLength(13 * 4)

  await using other = await train.create(network, { ...options, seed: 5 })
  expect((await other.predict(inputs)).outputs).not.toEqual(known.outputs)
  await other.load(await trainer.save())
  expect((await other.predict(inputs)).outputs).toEqual(known.outputs)
})

test("without any backend, the error names the package to install", async () => {
  const absent = () => Promise.reject(new Error("Cannot find package"))
  const created = train.create(network, { ...options, backend: firstOf(absent, absent) })
  const error = await created.then(
    () => undefined,
    (failure: BackendUnavailableError) => failure,
  )
  expect(error).toBeInstanceOf(BackendUnavailableError)
  expect(error?.message).toContain("@spikeroute/backend-wasm")
  await using second = await train.create(network, {
    ...options,
    backend: firstOf(absent, async () => ({ layer: () => layer })),
  })
  expect((await second.predict(samplesOf(4).inputs)).classes).toHaveLength(4)
})

test("a seed is deterministic, another one differs", async () => {
  const losses = await lossesOf(1)
  expect(await lossesOf(1)).toEqual(losses)
  expect(await lossesOf(2)).not.toEqual(losses)
})

test("frames are given per sample: a step that differs between samples belongs to each sample", async () => {
  const summing = Graph.sequential(leakyReadout({ tau: Number.POSITIVE_INFINITY }))
  await using trainer = await train.create(summing, {
    ...{ shape: [1], backend: layer, batchSize: 2, timeSteps: 2, encoding: "frames" },
    loss: [Losses.meanSquaredError({ over: "step" })],
  })
  // Outputs are v[1] + v[2] = 2·x[1] + x[2].
  expect([...(await trainer.predict([1, 10, 2, 20, 3, 30])).outputs]).toEqual([12, 24, 36])
})

test("errors are the library's, and describe what is wrong", async () => {
  await expect(train.create(network, { ...options, batchSize: 0 })).rejects.toBeInstanceOf(OptionError)
  await using trainer = await train.create(network, options)
  const first = (samples: train.Samples) => trainer.epochs(samples, { epochs: 1 }).next()
  const { inputs, labels } = samplesOf(8)
  await expect(first({ inputs: inputs.slice(1), labels })).rejects.toBeInstanceOf(InputError)
  await expect(first({ inputs: inputs.slice(0, 32), labels })).rejects.toBeInstanceOf(InputError)
  await expect(first({ inputs, labels: labels.map(() => 9) })).rejects.toBeInstanceOf(LabelError)
  await expect(trainer.predict([Number.NaN, ...inputs.slice(1)])).rejects.toMatchObject({ _tag: "InputError" })
})
