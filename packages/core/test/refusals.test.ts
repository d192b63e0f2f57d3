/** What a trainer and a predictor refuse: data, labels, arguments, weights. A refused step changes nothing. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import {
  batchNorm,
  defaultLoss,
  flatten,
  Graph,
  InputError,
  Key,
  LabelError,
  lif,
  linear,
  NonFiniteLossError,
  NonFiniteTensorError,
  Optimizer,
  OptionError,
  Policy,
  Train,
} from "../src/index.ts"
import { onOracle } from "./support.ts"

const image = Graph.makeUnsafe(
  [2, 3],
  Graph.sequential(flatten(), linear({ features: 4 }), batchNorm(), lif({ tau: 2 }), linear({ features: 3 })),
)
const flat = Graph.makeUnsafe(
  [3],
  Graph.sequential(linear({ features: 4 }), batchNorm(), lif(), linear({ features: 3 })),
)

const options = {
  batchSize: 2,
  timeSteps: 3,
  loss: defaultLoss,
  optimizer: Optimizer.adam(),
  key: Key.make(1),
}
const inputs = Float32Array.of(1, 2, 3, 3, 2, 1)
const labels = Float32Array.of(0, 2)
const at = { update: 1, learningRate: 0.1 }

type Step = readonly [batch: unknown, options: unknown]

/** The failure of a step, which must leave everything as it was, and the trainer of use. */
const refusal = (
  [batch, given]: Step,
  { graph = flat, ...made }: Partial<Parameters<typeof Train.make>[2]> & { readonly graph?: Graph.Graph } = {},
) =>
  onOracle(
    Effect.gen(function* () {
      const trainer = yield* Train.make(graph, Policy.bptt, { ...options, ...made })
      const before = yield* trainer.save
      const failure = yield* Effect.flip(trainer.step(batch as never, given as never))
      expect(yield* trainer.save).toEqual(before)
      return failure
    }),
  )

describe("inputs", () => {
  const kinds = [
    Float64Array,
    Int8Array,
    Uint8Array,
    Uint8ClampedArray,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    Array,
  ] as const
  test.each(kinds.map((kind) => [kind.name, kind] as const))("of %s are numbers, not bits", async (_, kind) => {
    const results = (given: Parameters<Train.Trainer["step"]>[0]) =>
      onOracle(
        Effect.gen(function* () {
          const trainer = yield* Train.make(flat, Policy.sltt, options)
          const predictor = yield* Train.makePredictor(flat, options)
          const step = yield* trainer.step(given, at)
          yield* predictor.load(yield* trainer.save)
          return [
            step,
            yield* trainer.differentiate(given, { update: 2 }),
            yield* predictor.predict(given.inputs),
          ] as const
        }),
      )
    const from = (values: Float32Array) => (kind as Float64ArrayConstructor).from(values)
    const given = { inputs: from(inputs), labels: from(labels) }
    expect(await results(given)).toEqual(await results({ inputs, labels }))
  })
  test.each([
    ["nothing", undefined],
    ["text", "1,2,3,3,2,1"],
    [
      "rows of numbers",
      [
        [1, 2, 3],
        [3, 2, 1],
      ],
    ],
    ["texts", ["1", "2", "3", "3", "2", "1"]],
    ["64-bit integers", new BigInt64Array(6)],
    ["bytes of any kind", new DataView(new ArrayBuffer(24))],
    ["one too few", inputs.subarray(1)],
    ["one too many", new Float32Array(7)],
    ["none", []],
  ])("that are %s are refused", async (_, given) => {
    expect(await refusal([{ inputs: given, labels }, at])).toMatchObject({ _tag: "InputError", what: "inputs" })
  })
  test("not a batch", async () => {
    for (const batch of [undefined, null, {}, []])
      expect(await refusal([batch, at])).toMatchObject({ _tag: "InputError", what: "inputs" })
  })
  test.each([Number.NaN, Number.POSITIVE_INFINITY, 1e39])(
    "that contain %p are rejected, with sample and position",
    async (value) => {
      const twelve = Array.from({ length: 12 }, (_, i) => (i === 10 ? value : i))
      // 10 = 6·sample 1 + 3·row 1 + column 1
      expect(await refusal([{ inputs: twelve, labels }, at], { graph: image })).toMatchObject({
        _tag: "InputError",
        sample: 1,
        position: [1, 1],
      })
      // [T, N, …]: 10 + 12 values of the first step
      const frames = [...Array(12).fill(0), ...twelve, ...Array(12).fill(0)]
      const failure = await refusal([{ inputs: frames, labels }, at], { graph: image, encoding: "frames" })
      expect(failure).toMatchObject({ _tag: "InputError", sample: 1, position: [1, 1, 1] })
      expect(failure.message).toContain(String(value))
    },
  )
  test("a hole in an array is not a number", async () => {
    const holed = [1, 2, 3, 3, 2, 1]
    delete holed[4]
    expect(await refusal([{ inputs: holed, labels }, at])).toMatchObject({
      _tag: "InputError",
      sample: 1,
      position: [1],
    })
  })
  test("of a later micro-batch are rejected before the first one runs", async () => {
    const plain = Graph.makeUnsafe([3], Graph.sequential(linear({ features: 4 }), lif(), linear({ features: 3 })))
    const given = Float32Array.of(1, 2, 3, 3, 2, Number.NaN)
    expect(await refusal([{ inputs: given, labels }, at], { graph: plain, microBatches: 2 })).toMatchObject({
      sample: 1,
      position: [2],
    })
  })
  test("that cannot be predicted from", async () => {
    const predict = (given: unknown) =>
      onOracle(
        Effect.flatMap(Train.makePredictor(flat, options), (predictor) =>
          Effect.flip(predictor.predict(given as never)),
        ),
      )
    for (const given of [undefined, "x", [1, 2], Float32Array.of(1, 2, Number.NaN, 0, 0, 0)])
      expect(await predict(given)).toBeInstanceOf(InputError)
  })
})

describe("labels", () => {
  test.each([[3], [-1], [0.5], [Number.NaN], [1e9], ["1"], ["cat"], [undefined], [null], [true], [1n]])(
    "%p is not a class",
    async (label) => {
      const failure = await refusal([{ inputs, labels: [1, label] }, at])
      expect(failure).toBeInstanceOf(LabelError)
      expect(failure).toMatchObject({ what: "labels", sample: 1, label, classes: 3 })
      expect(failure.message).not.toContain("\n")
    },
  )
  test.each([[undefined], ["01"], [[0]], [new Float32Array(3)]])("%p are not labels of the batch", async (given) => {
    expect(await refusal([{ inputs, labels: given }, at])).toMatchObject({ _tag: "InputError", what: "labels" })
  })
  test("of the previous batch are not reused", async () => {
    await onOracle(
      Effect.gen(function* () {
        const trainer = yield* Train.make(flat, Policy.sltt, options)
        yield* trainer.step({ inputs, labels }, at)
        const before = yield* trainer.save
        const failure = yield* Effect.flip(trainer.step({ inputs } as never, { ...at, update: 2 }))
        expect(failure).toMatchObject({ _tag: "InputError", what: "labels" })
        expect(yield* trainer.save).toEqual(before)
      }),
    )
  })
})

describe("arguments of a step", () => {
  test.each([
    ["update", { learningRate: 0.1 }],
    ["update", { update: 0, learningRate: 0.1 }],
    ["update", { update: -1, learningRate: 0.1 }],
    ["update", { update: 1.5, learningRate: 0.1 }],
    ["update", { update: Number.NaN, learningRate: 0.1 }],
    ["update", { update: 2 ** 53, learningRate: 0.1 }],
    ["update", { update: "1", learningRate: 0.1 }],
    ["learningRate", { update: 1 }],
    ["learningRate", { update: 1, learningRate: undefined }],
    ["learningRate", { update: 1, learningRate: Number.NaN }],
    ["learningRate", { update: 1, learningRate: -0.1 }],
    ["learningRate", { update: 1, learningRate: Number.POSITIVE_INFINITY }],
    ["learningRate", { update: 1, learningRate: 1e39 }],
    ["learningRate", { update: 1, learningRate: "0.1" }],
    ["lr", { update: 1, learningRate: 0.1, lr: 1 }],
    ["", undefined],
  ])("%s: %p", async (option, given) => {
    const failure = await refusal([{ inputs, labels }, given])
    expect(failure).toBeInstanceOf(OptionError)
    expect(failure).toMatchObject({ option })
  })
  test("of differentiate too", async () => {
    await onOracle(
      Effect.gen(function* () {
        const trainer = yield* Train.make(flat, Policy.sltt, options)
        const before = yield* trainer.save
        for (const update of [0, 0.5, Number.NaN, undefined])
          expect(yield* Effect.flip(trainer.differentiate({ inputs, labels }, { update } as never))).toBeInstanceOf(
            OptionError,
          )
        const wrong = { inputs: inputs.map(() => Number.NaN), labels }
        expect(yield* Effect.flip(trainer.differentiate(wrong, { update: 1 }))).toBeInstanceOf(InputError)
        expect(yield* trainer.save).toEqual(before)
      }),
    )
  })
  test.each([
    ["next.inputs", { inputs: inputs.subarray(1), labels }],
    ["next.inputs", { inputs: inputs.map(() => Number.NaN), labels }],
    ["next.labels", { inputs }],
    ["next.labels", { inputs, labels: Float32Array.of(0, 3) }],
  ])("a batch that comes next, %s at fault", async (what, next) => {
    expect(
      await refusal([
        { inputs, labels },
        { ...at, next },
      ]),
    ).toMatchObject({ what })
  })
  test("a batch announced before a rejected step stays announced", async () => {
    await onOracle(
      Effect.gen(function* () {
        const [plain, told] = [
          yield* Train.make(flat, Policy.sltt, options),
          yield* Train.make(flat, Policy.sltt, options),
        ]
        const next = { inputs: inputs.map((x) => 3 - x), labels: Float32Array.of(1, 1) }
        yield* plain.step({ inputs, labels }, at)
        yield* told.step({ inputs, labels }, { ...at, next })
        yield* Effect.flip(told.step(next, { update: 2, learningRate: Number.NaN }))
        const result = yield* plain.step(next, { ...at, update: 2 })
        expect(yield* told.step(next, { ...at, update: 2 })).toEqual(result)
      }),
    )
  })
})

describe("overflow", () => {
  test("a non-finite loss updates nothing, and the error names what is too large", async () => {
    const plain = Graph.makeUnsafe([3], linear({ features: 3 }))
    const failure = await refusal([{ inputs: inputs.map(() => 3e38), labels }, at], { graph: plain })
    expect(failure).toBeInstanceOf(NonFiniteLossError)
    expect(failure).toMatchObject({ what: "loss", update: 1, largestInput: Math.fround(3e38) })
    expect(failure.message).toContain("inputs reach 3.0e+38: scale them down")
  })
  test("overflowing running statistics are rejected, even if the loss and the gradients are finite", async () => {
    const failure = await refusal([{ inputs: [1, 1, 3e38, 1, 1, -3e38], labels }, at])
    expect(failure).toMatchObject({ _tag: "NonFiniteLossError", what: "statistic", layer: "1.running_var" })
  })
  test("weights that overflow in the update are rejected by save", async () => {
    const failure = await onOracle(
      Effect.gen(function* () {
        const trainer = yield* Train.make(flat, Policy.sltt, { ...options, optimizer: Optimizer.sgd() })
        yield* trainer.step({ inputs, labels }, { update: 1, learningRate: 1e38 })
        yield* Effect.ignore(trainer.step({ inputs, labels }, { update: 2, learningRate: 3e38 }))
        for (const { name } of trainer.graph.parameters.filter(({ role }) => role === "weight"))
          yield* trainer.executable.write(`parameter/${name}`, (out) => out.fill(Number.POSITIVE_INFINITY))
        return yield* Effect.flip(trainer.save)
      }),
    )
    expect(failure).toMatchObject({ _tag: "NonFiniteTensorError", tensor: "0.weight", index: 0 })
  })
  test("a prediction that exceeds float32's range is an error, not a result", async () => {
    const failure = await onOracle(
      Effect.gen(function* () {
        const plain = Graph.makeUnsafe([3], linear({ features: 2 }))
        const predictor = yield* Train.makePredictor(plain, options)
        const [weight = "", bias = ""] = plain.parameters.map(({ name }) => `parameter/${name}`)
        yield* predictor.load(
          new Map([
            [weight, { shape: [3, 2], values: new Float32Array(6).fill(1e38) }],
            [bias, { shape: [2], values: new Float32Array(2) }],
          ]),
        )
        return yield* Effect.flip(predictor.predict([0, 0, 0, 9, 9, 9]))
      }),
    )
    expect(failure).toMatchObject({ _tag: "InputError", sample: 1 })
  })
})

test("non-finite weights are not loaded and change nothing", async () => {
  await onOracle(
    Effect.gen(function* () {
      const trainer = yield* Train.make(flat, Policy.sltt, options)
      const predictor = yield* Train.makePredictor(flat, options)
      const before = yield* trainer.save
      yield* predictor.load(before)
      const answer = yield* predictor.predict(inputs)
      const tensors = new Map([...before].map(([name, { shape, values }]) => [name, { shape, values: values.slice() }]))
      for (const tensor of tensors.values()) tensor.values.fill(2)
      tensors.get("3.weight")!.values[5] = Number.NaN
      for (const load of [trainer.load, trainer.loadParameters, predictor.load]) {
        const failure = yield* Effect.flip(load(tensors))
        expect(failure).toBeInstanceOf(NonFiniteTensorError)
        expect(failure).toMatchObject({ tensor: "3.weight", index: 5, value: Number.NaN })
      }
      tensors.set("3.weight", { shape: [4, 3], values: new Float32Array(11) })
      for (const load of [trainer.load, trainer.loadParameters, predictor.load])
        expect(yield* Effect.flip(load(tensors))).toMatchObject({ _tag: "MismatchError" })
      expect(yield* trainer.save).toEqual(before)
      expect(yield* predictor.predict(inputs)).toEqual(answer)
    }),
  )
})

test("a tensor under an earlier name beside the present one is unexpected", async () => {
  await onOracle(
    Effect.gen(function* () {
      const trainer = yield* Train.make(flat, Policy.sltt, options)
      const saved = yield* trainer.save
      const bias = saved.get("0.bias")!
      for (const tensors of [
        new Map([...saved, ["parameter/0.bias", bias]]),
        new Map([["parameter/0.bias", bias], ...saved]),
      ])
        expect(yield* Effect.flip(trainer.load(tensors))).toMatchObject({
          _tag: "MismatchError",
          unexpected: [{ name: "parameter/0.bias", shape: [4] }],
        })
      const earlier = new Map(
        [...saved].map(([name, tensor]) => [name === "0.bias" ? `parameter/${name}` : name, tensor]),
      )
      yield* trainer.load(earlier)
      expect(yield* trainer.save).toEqual(saved)
    }),
  )
})

test("a prediction has no loss", async () => {
  const result = await onOracle(
    Effect.flatMap(Train.makePredictor(flat, options), (predictor) => predictor.predict(inputs)),
  )
  expect(Object.keys(result).toSorted()).toEqual(["firingRates", "outputs"])
})

describe("keys", () => {
  test("a seed is a whole number from 0 to 2⁵³ − 1", () => {
    for (const seed of [Number.NaN, -1, 0.5, 2 ** 53, Number.POSITIVE_INFINITY, "1", undefined, null, 1n])
      expect(() => Key.make(seed as number)).toThrow(OptionError)
    expect(Key.make(2 ** 53 - 1)).toEqual({ hi: 2 ** 21 - 1, lo: 2 ** 32 - 1 })
  })
  test("the key of a trainer is checked", async () => {
    for (const key of [undefined, 1, {}, { hi: 0 }, { hi: -1, lo: 0 }, { hi: 0, lo: Number.NaN }])
      expect(
        await onOracle(Effect.flip(Train.make(flat, Policy.sltt, { ...options, key: key as Key.Key }))),
      ).toBeInstanceOf(OptionError)
  })
})
