/** Compares with PyTorch's float64 results, if golden files lie beside the repository. */
import { describe, expect, test } from "bun:test"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { CheckpointError, Safetensors } from "@spikeroute/core"
import { Golden } from "@spikeroute/core/testing"
import { Effect } from "effect"
import { layer } from "../src/index.ts"

const directory = join(import.meta.dirname, "../../../../../shared/golden/data")

const read = (file: string) => Safetensors.decode(readFileSync(join(directory, file)), file)

const verify = (file: Safetensors.TensorFile, name: string) =>
  Effect.scoped(Golden.verify(file, name)).pipe(Effect.provide(layer))

describe("the models' golden files", () => {
  const models = join(import.meta.dirname, "../../../core/test/golden")
  const verified = (
    file: string,
    change: (golden: Safetensors.TensorFile) => Safetensors.TensorFile = (golden) => golden,
  ) =>
    Effect.runPromise(
      Safetensors.decode(readFileSync(join(models, file)), file).pipe(
        Effect.flatMap((golden) => verify(change(golden), file)),
      ),
    )
  for (const file of readdirSync(models).filter((file) => file.endsWith(".safetensors")))
    test(file, async () => {
      const errors = await verified(file)
      expect(errors.spikesMismatched).toBe(0)
      expect(Math.max(errors.out, errors.gradients, errors.statistics)).toBeLessThan(1e-5)
    }, 30_000)
  test("fail with another route, another seed, or one changed number in a summary", async () => {
    const file = "vgg11-bptt.safetensors"
    const route = await verified(file, (golden) => ({ ...golden, metadata: { ...golden.metadata, route: "sltt" } }))
    expect(route.out).toBeLessThan(1e-5)
    expect(route.gradients).toBeGreaterThan(1e-2)
    const seed = await verified(file, (golden) => ({ ...golden, metadata: { ...golden.metadata, seed: "1" } }))
    expect(seed.out).toBeGreaterThan(1e-2)
    expect(seed.spikesMismatched).toBeGreaterThan(0)
    const summary = await verified(file, (golden) => {
      const name = "summary.classifier.1.weight"
      const { shape, values } = golden.tensors.get(name)!
      return {
        ...golden,
        tensors: new Map([...golden.tensors, [name, { shape, values: values.with(2, values[2]! + 1) }]]),
      }
    })
    expect(Golden.passes(summary)).toBe(false)
  }, 30_000)
})

if (existsSync(directory)) {
  const inTime = join(directory, "../time")
  const files = [
    ...readdirSync(directory).filter((file) => file.endsWith(".safetensors")),
    ...readdirSync(inTime)
      .filter(Golden.isReadable)
      .map((file) => join("../time", file)),
  ]

  describe("golden files", () => {
    for (const file of files)
      test(file, async () => {
        const errors = await Effect.runPromise(Effect.flatMap(read(file), (golden) => verify(golden, file)))
        expect(errors).toEqual({
          out: expect.any(Number),
          gradients: expect.any(Number),
          statistics: expect.any(Number),
          spikesMismatched: 0,
        })
        // The oracle sums in float64, so its tolerance is tighter than other backends'.
        expect(Math.max(errors.out, errors.gradients, errors.statistics)).toBeLessThan(1e-5)
        expect(Golden.passes(errors)).toBe(true)
      })
  })

  describe("verification fails for a golden file with one change", () => {
    const changed = async (file: string, name: string, change: (value: number) => number) => {
      const golden = await Effect.runPromise(read(file))
      const { shape, values } = golden.tensors.get(name)!
      const next = values.slice()
      next[0] = change(next[0]!)
      const tensors = new Map([...golden.tensors, [name, { shape, values: next }]])
      const errors = await Effect.runPromise(verify({ ...golden, tensors }, file))
      expect(Golden.passes(errors)).toBe(false)
      return errors
    }
    test("in an output", async () => {
      const errors = await changed("mlp-triangle-bptt.safetensors", "out", (value) => value + 0.1)
      expect(errors.out).toBeGreaterThan(1e-3)
      expect(errors.gradients).toBeLessThan(1e-5)
    })
    test("in a spike", async () => {
      const errors = await changed("mlp-triangle-bptt.safetensors", "spikes.0", (value) => 1 - value)
      expect(errors.spikesMismatched).toBe(1)
    })
    test("in a gradient", async () => {
      const errors = await changed("conv-sigmoid-sltt.safetensors", "grad.8.weight", (value) => value + 1)
      expect(errors.gradients).toBeGreaterThan(1e-3)
    })
    test("in a running statistic", async () => {
      const errors = await changed("conv-sigmoid-sltt.safetensors", "after.1.running_mean", (value) => value + 1)
      expect(errors.statistics).toBeGreaterThan(1e-3)
    })
    test("in the route", async () => {
      const golden = await Effect.runPromise(read("mlp-triangle-bptt.safetensors"))
      const metadata = { ...golden.metadata, route: "sltt" }
      const errors = await Effect.runPromise(verify({ ...golden, metadata }, "mlp"))
      expect(errors.out).toBeLessThan(1e-5)
      expect(errors.gradients).toBeGreaterThan(1e-2)
    })
  })
}

describe("a file that is not a golden file is rejected with the reason", () => {
  const refusal = async (file: Safetensors.TensorFile) => {
    const error = await Effect.runPromise(Effect.flip(verify(file, "x.safetensors")))
    expect(error).toBeInstanceOf(CheckpointError)
    return error.message
  }
  const metadata = { net: "mlp", tau: "2", surrogate: "triangle", route: "sltt", loss_lambda: "0.05" }
  test("no network, an unknown surrogate, no data", async () => {
    const tensors = new Map()
    expect(await refusal({ tensors, metadata: {} })).toBe("x.safetensors: no golden file: its network is not named")
    expect(await refusal({ tensors, metadata: { ...metadata, net: "vgg" } })).toContain("its network is vgg")
    expect(await refusal({ tensors, metadata: { ...metadata, surrogate: "step" } })).toBe(
      "x.safetensors: its surrogate is step",
    )
    expect(await refusal({ tensors, metadata })).toBe("x.safetensors: it has no tensor input")
    const model = { ...metadata, net: "resnet18", width: "1", seed: "1", classes: "10", time_steps: "2", batch: "1" }
    expect(await refusal({ tensors, metadata: { ...model, sample: "[3,32]", data: "images" } })).toMatch(
      /^x\.safetensors: its metadata: .*sample/,
    )
  })
})
