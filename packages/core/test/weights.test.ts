/** Frozen weights, clipped gradients, groups of weights: against updates written by hand, and what the compiler leaves out. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import { batchNorm, Graph, gain, Key, lif, linear, Optimizer, Policy, Program, plif, Train } from "../src/index.ts"
import type { TrainingOptions } from "../src/program/options.ts"
import { onOracle } from "./support.ts"

const graph = Graph.makeUnsafe(
  [5],
  Graph.sequential(
    linear({ features: 6 }),
    batchNorm(),
    plif(),
    linear({ features: 4 }),
    gain(),
    lif(),
    linear({ features: 3 }),
  ),
)
const options = {
  batchSize: 4,
  timeSteps: 3,
  loss: { mix: 0.3, target: "one-hot" },
  optimizer: Optimizer.sgd(),
} as const
const inputs = Key.normal(Key.make(5), new Float32Array(20)).map((value) => 2 * value)
const batch = { inputs, labels: [0, 2, 1, 2] }

type Named = ReadonlyMap<string, Float32Array>

const named = (tensors: Train.Tensors): Named =>
  new Map([...tensors].map(([name, { values }]) => [name, values as Float32Array]))

/** Gradients of a batch, what was there before and after its update, and after one more. */
const trained = (given: Partial<TrainingOptions>, policy: Policy.Policy = Policy.bptt) =>
  onOracle(
    Effect.gen(function* () {
      const made = () => Train.make(graph, policy, { ...options, ...given, key: Key.make(3) })
      const trainer = yield* made()
      const { gradients } = yield* (yield* made()).differentiate(batch, { update: 1 })
      const before = named(yield* trainer.save)
      const { loss } = yield* trainer.step(batch, { update: 1, learningRate: 0.5 })
      const after = named(yield* trainer.save)
      return { program: trainer.program, gradients, before, after, loss }
    }),
  )

/** How far a weight went, over the learning rate: of SGD's first update the gradient that it took. */
const taken = ({ before, after }: { readonly before: Named; readonly after: Named }, name: string) =>
  before.get(name)!.map((value, i) => (value - after.get(name)![i]!) / 0.5)

const near = (found: Float32Array, expected: ArrayLike<number>) => {
  expect(found).toHaveLength(expected.length)
  found.forEach((value, i) => {
    expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-6 + 1e-3 * Math.abs(expected[i]!))
  })
}

const kernelsOf = ({ segments }: Program.Program, node: string) =>
  Object.values(segments)
    .flat()
    .filter((each) => each.node === node && each.phase !== "forward")
    .map(({ kernel }) => kernel)

describe("frozen weights", () => {
  for (const policy of [Policy.bptt, Policy.sltt, Policy.ottt, Policy.rate])
    test(`do not change, and the other gradients are bit-identical, ${policy.name}`, async () => {
      const free = await trained({}, policy)
      const some = await trained({ freeze: ["1.*", "3.weight", "*gain", "2.w"] }, policy)
      expect([...some.gradients.keys()]).toEqual(["0.weight", "0.bias", "3.bias", "6.weight", "6.bias"])
      for (const [name, values] of some.gradients) expect(values).toEqual(free.gradients.get(name)!)
      for (const name of ["1.weight", "1.bias", "3.weight", "4.gain", "2.w"])
        expect([name, some.after.get(name)]).toEqual([name, some.before.get(name)!])
      expect(some.after.get("1.running_mean")).toEqual(free.after.get("1.running_mean")!)
      expect([...some.after.keys()].filter((name) => /optimizer.*(1\.|gain|2\.w|3\.weight)/.test(name))).toEqual([])
      expect(some.loss).toBe(free.loss)
    })

  test("nothing is differentiated before the last trained weight", async () => {
    const free = await trained({})
    const head = await trained({ freeze: ["0.*", "1.*", "2.*", "3.*", "4.*"] })
    for (const node of ["0", "1", "2", "3", "4", "5"]) expect([node, kernelsOf(head.program, node)]).toEqual([node, []])
    expect(kernelsOf(head.program, "6")).toEqual(["loss.backward", "linear.weightGradient", "bias.gradient"])
    expect(head.gradients.get("6.weight")).toEqual(free.gradients.get("6.weight")!)
    expect(head.program.arenaBytes).toBeLessThan(free.program.arenaBytes)
    expect(Effect.runSync(Program.check(head.program))).toBe(head.program)
  })
})

const norm = (gradients: Named) => Math.hypot(...[...gradients.values()].flatMap((values) => [...values]))

describe("clipped gradients", () => {
  test("by norm: all together, as PyTorch's clip_grad_norm_", async () => {
    const { gradients, ...found } = await trained({ clipNorm: 0.05 })
    expect(norm(gradients)).toBeGreaterThan(0.1)
    const factor = 0.05 / (norm(gradients) + 1e-6)
    for (const [name, values] of gradients)
      near(
        taken(found, name),
        values.map((value) => value * factor),
      )
  })
  test("by a norm that they do not exceed: bit-identical", async () => {
    const free = await trained({})
    expect((await trained({ clipNorm: 1e4 })).after).toEqual(free.after)
  })
  test("by value, after the norm", async () => {
    const { gradients, ...found } = await trained({ clipNorm: 0.1, clipValue: 0.02 })
    const factor = 0.1 / norm(gradients)
    const expected = (value: number) => Math.max(-0.02, Math.min(0.02, value * factor))
    let clippedOnes = 0
    for (const [name, values] of gradients) {
      near(taken(found, name), values.map(expected))
      clippedOnes += values.filter((value) => Math.abs(value * factor) > 0.02).length
    }
    expect(clippedOnes).toBeGreaterThan(2)
  })
  test("to a norm for which squared ratios exceed float32: no update, and no NaN", async () => {
    const { before, after } = await trained({ clipNorm: 1e-30 })
    for (const name of ["0.weight", "6.bias"]) expect(after.get(name)).toEqual(before.get(name)!)
  })
})

describe("groups of weights", () => {
  test("have their own rates and options; the first matching group applies", async () => {
    const groups = [
      { parameters: ["*.bias"], rate: 0.1 },
      { parameters: ["0.*", "6.weight"], rate: 2, options: { weightDecay: 0.25 } },
      { parameters: ["2.w"], rate: 0 },
    ]
    const free = await trained({})
    const found = await trained({ groups })
    expect(found.gradients).toEqual(free.gradients)
    for (const [name, values] of found.gradients) {
      const weights = found.before.get(name)!
      const ofBias = (value: number) => 0.1 * value
      const ofSecond = (value: number, i: number) => 2 * (value + 0.25 * weights[i]!)
      const rule = name.endsWith("bias")
        ? ofBias
        : /^(0|6)\./.test(name)
          ? ofSecond
          : name === "2.w"
            ? () => 0
            : (v: number) => v
      near(taken(found, name), Array.from(values, rule))
    }
  })
  test("in Adam: another rate scales its steps", async () => {
    const optimizer = Optimizer.adam()
    const free = await trained({ optimizer })
    const found = await trained({ optimizer, groups: [{ parameters: ["0.weight"], rate: 0.25 }] })
    near(
      taken(found, "0.weight"),
      taken(free, "0.weight").map((value) => value / 4),
    )
    expect(taken(found, "6.weight")).toEqual(taken(free, "6.weight"))
  })
})

test("stopped and resumed, bit-identical", () =>
  onOracle(
    Effect.gen(function* () {
      const given = {
        ...{ ...options, optimizer: Optimizer.adam(), key: Key.make(3), freeze: ["0.weight"] },
        ...{ clipNorm: 0.5, clipValue: 0.1, groups: [{ parameters: ["6.*"], rate: 3, options: { weightDecay: 0.1 } }] },
      }
      const made = Train.make(graph, Policy.sltt, given)
      const [whole, first, second] = [yield* made, yield* made, yield* made]
      const steps = (trainer: Train.Trainer, updates: ReadonlyArray<number>) =>
        Effect.forEach(updates, (update) => trainer.step(batch, { update, learningRate: 0.05 }))
      yield* steps(whole, [1, 2, 3, 4])
      yield* steps(first, [1, 2])
      yield* second.load(yield* first.save)
      yield* steps(second, [3, 4])
      expect(yield* second.save).toEqual(yield* whole.save)
    }),
  ))

describe("rejected", () => {
  const cases: ReadonlyArray<readonly [Partial<TrainingOptions>, string, string?]> = [
    [{ freeze: ["0.wieght"] }, "freeze", "0.weight"],
    [{ freeze: ["1.running_mean"] }, "freeze"],
    [{ freeze: ["*"] }, "freeze"],
    [{ freeze: "0.weight" as never }, "freeze"],
    [{ clipNorm: 0 }, "clipNorm"],
    [{ clipValue: -1 }, "clipValue"],
    [{ groups: [{ parameters: ["9.*"] }] }, "groups.0.parameters"],
    [{ groups: [{ parameters: ["*"], rate: -1 }] }, "groups.0.rate"],
    [{ groups: [{ parameters: ["*"], options: { wieghtDecay: 1 } }] }, "wieghtDecay", "weightDecay"],
  ]
  for (const [given, option, similar] of cases)
    test(JSON.stringify(given), () => {
      const error = Effect.runSync(Effect.flip(Program.compile(graph, Policy.sltt, { ...options, ...given })))
      expect(error).toMatchObject({ _tag: "OptionError", option, ...(similar && { similar }) })
    })
})
