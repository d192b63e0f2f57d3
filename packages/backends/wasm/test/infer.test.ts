/** Program files: written by the compiler, run without it. */
import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { ProgramFile } from "@spikeroute/backend-kernels"
import {
  adaptiveLif,
  add,
  type Backend,
  batchNorm,
  delay,
  flatten,
  Graph,
  Key,
  leakyReadout,
  linear,
  Models,
  plif,
  recurrent,
  Safetensors,
  Shape,
  Train,
} from "@spikeroute/core"
import { Effect, type Scope } from "effect"
import { fromModule } from "../src/edge.ts"
import { InputError, load, type Model, ProgramFileError } from "../src/infer.ts"

const wasm = readFileSync(new URL("../built/spikeroute.wasm", import.meta.url))
const kernels = new WebAssembly.Module(wasm)

type Options = ProgramFile.SaveOptions

const run = <A, E>(effect: Effect.Effect<A, E, Backend | Scope.Scope>): A =>
  Effect.runSync(effect.pipe(Effect.scoped, Effect.provide(fromModule(kernels)), Effect.orDie))

/** Parameters with which neurons fire, by the names that a trainer saves. */
const parametersOf = (graph: Graph.Graph, seed = 1): Safetensors.TensorFile["tensors"] => {
  const first = Train.initialize(graph, Key.make(seed))
  return new Map(
    graph.parameters.map(({ name, shape }) => {
      const noise = Key.uniform(Key.fold(Key.make(seed), "noise", name), new Float32Array(Shape.size(shape)))
      const values = (first.get(name) as Float32Array).map((value, i) => 2 * value + 0.2 * (noise[i] as number))
      return [name, { shape, values }]
    }),
  )
}

const save = (graph: Graph.Graph, options: Options, tensors = parametersOf(graph)) =>
  Effect.runSync(ProgramFile.save(graph, tensors, options))

const numbers = (count: number, seed = 2) => Key.uniform(Key.make(seed), new Float32Array(count)).map((u) => 2 * u)

const conv = Graph.makeUnsafe([8, 8, 2], Models.conv(4, { width: 0.25 }))
const convOptions: Options = { batchSize: 1, timeSteps: 5, encoding: "frames" }
const convFile = save(conv, convOptions)

/** Reads values of several earlier steps: more than some of the programs have, with coprime periods. */
const temporal = Graph.makeUnsafe(
  [6],
  Graph.sequential(
    linear({ features: 20 }),
    adaptiveLif({ adaptationDecay: 0.8, strength: 0.2, threshold: 0.3 }),
    delay({ steps: 3 }),
    recurrent((x, fedBack) =>
      adaptiveLif({ threshold: 0.2 })(
        add(linear({ features: 33 })(x, "input"), linear({ features: 33, bias: false })(fedBack, "recurrent")),
      ),
    ),
    delay({ steps: Array.from({ length: 33 }, (_, i) => i % 5) }),
    linear({ features: 3 }),
    leakyReadout(),
  ),
)

const twoHeads = Graph.makeUnsafe([4], (x) => {
  const features = x.pipe(linear({ features: 9 }), adaptiveLif({ threshold: 0.2 }))
  return {
    class: features.pipe(linear({ features: 3 })),
    angle: features.pipe(linear({ features: 2 }), leakyReadout()),
  }
})

/** A network that returns its input: with three classes, the logits of each step are the frame. */
const mirror = (batchSize: number, timeSteps: number): Model => {
  const graph = Graph.makeUnsafe([1, 1, 3], Graph.sequential(flatten(), linear({ features: 3, bias: false })))
  const identity = { shape: [3, 3], values: Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1) }
  const [parameter] = graph.parameters
  const tensors = new Map([[parameter?.name as string, identity]])
  return load(kernels, save(graph, { batchSize, timeSteps, encoding: "frames" }, tensors))
}

describe("a loaded program is bit-identical to the compiled predictor", () => {
  const cases: ReadonlyArray<readonly [string, Graph.Graph, Options]> = [
    ["conv on frames", conv, convOptions],
    ["conv on images, a batch of three", conv, { batchSize: 3, timeSteps: 4, encoding: "static" }],
    [
      "a normaliser-free network with weight standardisation",
      Graph.makeUnsafe([16, 16, 3], Models.nfresnet34(5, { width: 0.0625 })),
      { batchSize: 2, timeSteps: 2, encoding: "static" },
    ],
    [
      "batch norm, learnt decay, leaky read-out",
      Graph.makeUnsafe(
        [4, 4, 2],
        Graph.sequential(batchNorm(), plif(), flatten(), linear({ features: 3 }), leakyReadout()),
      ),
      { batchSize: 2, timeSteps: 6, encoding: "frames" },
    ],
    ["two read-outs", twoHeads, { batchSize: 3, timeSteps: 4, encoding: "frames" }],
    ["recurrence, delays, adaptive neurons", temporal, { batchSize: 2, timeSteps: 9, encoding: "frames" }],
    ["recurrence and delays on what is shown once", temporal, { batchSize: 2, timeSteps: 9, encoding: "static" }],
  ]
  test.each(cases)("%s", (_, graph, options) => {
    const model = load(kernels, save(graph, options))
    const frames = options.encoding === "frames" ? options.timeSteps : 1
    const inputs = numbers(frames * options.batchSize * Shape.size(graph.input))
    const { outputs, named } = run(
      Effect.gen(function* () {
        const predictor = yield* Train.makePredictor(graph, options)
        yield* predictor.load(parametersOf(graph))
        return yield* predictor.predict(inputs)
      }),
    )
    expect(outputs.some((value) => value !== 0)).toBe(true)
    const prediction = model.predict(inputs)
    expect(prediction.outputs).toEqual(outputs)
    expect(prediction.named).toEqual(named)
    expect(prediction.steps).toEqual(Array.from({ length: options.batchSize }, () => options.timeSteps))
    // A second prediction starts from rest.
    expect(model.predict(inputs).outputs).toEqual(outputs)
    expect(model).toMatchObject({ ...options, shape: [...graph.input] })
  })
})

describe("anytime inference", () => {
  test("stops each sample once its first class leads the second by the margin, and reports its steps", () => {
    // Sample 0 leads by 1, 2, …; sample 1 by 0.5, 1, 1.5, 2; sample 2 never leads.
    const step = [0, 1, 0, 0.5, 0, 0, 1, 0, 1]
    const { classes, outputs, steps, meanSteps } = mirror(3, 4).predict(
      Float32Array.from([step, step, step, step].flat()),
      {
        margin: 2,
      },
    )
    expect(steps).toEqual([2, 4, 4])
    expect(meanSteps).toBe(10 / 3)
    expect(classes).toEqual([1, 0, 0])
    expect([...outputs]).toEqual([0, 2, 0, 2, 0, 0, 4, 0, 4])
  })
  test("a lead that is lost later does not matter once the sample has stopped", () => {
    const model = mirror(1, 3)
    const frames = Float32Array.of(3, 0, 0, 0, 9, 0, 0, 0, 0)
    expect(model.predict(frames)).toMatchObject({ classes: [1], steps: [3] })
    expect(model.predict(frames, { margin: 3 })).toMatchObject({ classes: [0], steps: [1] })
    expect(model.predict(frames, { margin: 3.1 })).toMatchObject({ classes: [1], steps: [2] })
  })
  test("an invalid margin is refused", () => {
    for (const margin of [-1, Number.NaN])
      expect(() => mirror(1, 1).predict(new Float32Array(3), { margin })).toThrow(InputError)
  })
})

async function* each<A>(values: ReadonlyArray<A>) {
  yield* values
}

describe("a stream", () => {
  test("of a network with two read-outs returns both at every step", async () => {
    const file = save(twoHeads, { batchSize: 1, timeSteps: 5, encoding: "frames" })
    const frames = Array.from({ length: 5 }, (_, t) => numbers(4).map((value) => value + t / 4))
    const steps = await Array.fromAsync(load(kernels, file).stream(each(frames)))
    const whole = load(kernels, file).predict(Float32Array.from(frames.flatMap((frame) => [...frame])))
    expect(steps[4]?.named).toEqual(whole.named)
    expect(steps[4]?.named?.class).toEqual(whole.outputs)
    expect(whole.named?.angle?.some((value) => value !== 0)).toBe(true)
  })
  const size = 8 * 8 * 2
  const frames = Array.from({ length: 12 }, (_, t) => numbers(size, 10 + t))
  const joined = (from: number, to: number) => Float32Array.from(frames.slice(from, to).flatMap((frame) => [...frame]))

  test("keeps its state between frames, and after T frames has given the answer for one sample", async () => {
    const steps = await Array.fromAsync(load(kernels, convFile).stream(each(frames)))
    expect(steps.map(({ step }) => step)).toEqual(frames.map((_, t) => t))
    const whole = load(kernels, convFile).predict(joined(0, 5))
    expect(steps[4]?.outputs).toEqual(whole.outputs)
    expect(steps[4]?.classes).toEqual([...whole.classes])
    // The same frames from rest give a different result, because the membranes were not at rest after the first five.
    expect(steps[9]?.outputs).not.toEqual(load(kernels, convFile).predict(joined(5, 10)).outputs)
    // The outputs are those of the last five steps.
    const sum = new Float32Array(4)
    for (const { logits } of steps.slice(5, 10)) for (let i = 0; i < 4; i++) sum[i]! += logits[i] as number
    expect(steps[9]?.outputs).toEqual(sum)
  })
  test("of a network with delays is bit-identical to the batch, far beyond the program's own steps", async () => {
    const of = (timeSteps: number) => load(kernels, save(temporal, { batchSize: 2, timeSteps, encoding: "frames" }))
    const inputs = Array.from({ length: 50 }, (_, t) => numbers(2 * 6, 10 + t))
    const whole = of(50).predict(Float32Array.from(inputs.flatMap((frame) => [...frame])))
    const streamed = await Array.fromAsync(of(50).stream(each(inputs)))
    expect(streamed.at(-1)?.outputs).toEqual(whole.outputs)
    const [short, single] = [of(2), of(1)]
    single.step(inputs[1])
    single.begin()
    const steps = await Array.fromAsync(short.stream(each(inputs)))
    for (const [t, { logits }] of streamed.entries()) {
      expect(steps[t]?.logits).toEqual(logits)
      expect(single.step(inputs[t])).toEqual(logits)
    }
    // The history of delays and neurons matters: from rest the result differs.
    expect(of(1).step(inputs[49])).not.toEqual(streamed[49]?.logits as Float32Array)
  })
  const uses: ReadonlyArray<readonly [string, (model: Model) => unknown]> = [
    ["a prediction", (model) => model.predict(joined(0, 5))],
    ["a sample that begins", (model) => model.begin()],
    ["a step", (model) => model.step(frames[3])],
    ["another stream", (model) => model.stream(each(frames)).next()],
  ]
  test.each(uses)("ends with an error when %s takes its state", async (_, use) => {
    const model = load(kernels, convFile)
    const stream = model.stream(each(frames))
    await stream.next()
    await use(model)
    await expect(stream.next()).rejects.toThrow(
      new InputError("this model was used for something else between two frames; load one model per stream"),
    )
  })
  test("keeps its state when weights are replaced, and when a call in between is refused", async () => {
    const model = load(kernels, convFile)
    const stream = model.stream(each(frames))
    await stream.next()
    model.load(parametersOf(conv))
    expect(() => model.predict(new Float32Array(3))).toThrow(InputError)
    expect(() => model.step(new Float32Array(3))).toThrow(InputError)
    const [, second] = await Array.fromAsync(load(kernels, convFile).stream(each(frames)))
    expect((await stream.next()).value).toEqual(second as NonNullable<typeof second>)
  })
  test("is refused if the program repeats one image", async () => {
    const model = load(kernels, save(conv, { batchSize: 1, timeSteps: 2, encoding: "static" }))
    await expect(model.stream(each(frames)).next()).rejects.toThrow(InputError)
  })
})

describe("weights", () => {
  test("are replaced all together or not at all", () => {
    const model = load(kernels, convFile)
    const inputs = numbers(5 * 128)
    const before = model.predict(inputs).outputs
    const others = parametersOf(conv, 7)
    model.load(others)
    const after = model.predict(inputs).outputs
    expect(after).toEqual(load(kernels, save(conv, convOptions, others)).predict(inputs).outputs)
    expect(after).not.toEqual(before)
    const lacking = new Map([...parametersOf(conv)].slice(0, -1))
    expect(() => model.load(lacking)).toThrow("tensor 7.bias has no values where the network takes 4")
    expect(model.predict(inputs).outputs).toEqual(after)
  })
  test("are read back from a file with their network", () => {
    const { graph, tensors } = Effect.runSync(ProgramFile.read(convFile, "file"))
    expect(Graph.toJson(graph)).toEqual(Graph.toJson(conv))
    for (const [name, { values }] of parametersOf(conv)) expect(tensors.get(name)?.values).toEqual(values)
  })
  test("that do not fit the network cannot be saved", () => {
    expect(() => save(conv, convOptions, new Map())).toThrow("missing 0.weight")
  })
})

test("inputs of the wrong size are refused, and the error names them", () => {
  expect(() => load(kernels, convFile).predict(new Float32Array(7))).toThrow(
    new InputError("inputs of 5×1×8×8×2 must have 640 values, not 7"),
  )
  expect(() => load(kernels, convFile).step(new Float32Array(7))).toThrow(
    new InputError("frames of 1×8×8×2 must have 128 values, not 7"),
  )
})

describe("inputs", () => {
  const graph = Graph.makeUnsafe([2, 3], Graph.sequential(flatten(), linear({ features: 3 })))
  const modelOf = (encoding: "static" | "frames") =>
    load(kernels, save(graph, { batchSize: 2, timeSteps: 3, encoding }))
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
  ]
  test.each(kinds.map((kind) => [kind.name, kind as Float64ArrayConstructor] as const))(
    "of %s are numbers, not bits",
    async (_, kind) => {
      const values = Float32Array.from({ length: 36 }, (_, i) => i % 5)
      const given = kind.from(values)
      expect(modelOf("frames").predict(given)).toEqual(modelOf("frames").predict(values))
      expect(modelOf("static").predict(given.slice(0, 12))).toEqual(modelOf("static").predict(values.slice(0, 12)))
      expect(modelOf("frames").step(given.slice(0, 12))).toEqual(modelOf("frames").step(values.slice(0, 12)))
      const [streamed] = await Array.fromAsync(modelOf("frames").stream(each([given.slice(0, 12)])))
      expect(streamed?.logits).toEqual(modelOf("frames").step(values.slice(0, 12)))
    },
  )
  const refused = (run: () => unknown): Error => {
    try {
      run()
    } catch (error) {
      expect(error).toBeInstanceOf(InputError)
      return error as Error
    }
    throw new Error("it was accepted")
  }
  test.each([
    ["nothing", undefined],
    ["text", "123456789012"],
    ["texts", Array(12).fill("1")],
    ["64-bit integers", new BigInt64Array(12)],
    ["bytes", new DataView(new ArrayBuffer(12))],
    ["rows", [[1, 2, 3]]],
  ])("that are %s are refused", (_, given) => {
    const [still, moving] = [modelOf("static"), modelOf("frames")]
    for (const run of [
      () => still.predict(given as never),
      () => still.begin(given as never),
      () => moving.predict(given as never),
      () => moving.step(given as never),
    ])
      refused(run)
  })
  test.each([Number.NaN, Number.NEGATIVE_INFINITY, 1e39])(
    "that hold %p are refused, with the sample and the place",
    (value) => {
      const given = Array(36).fill(1)
      given[12 + 6 + 4] = value
      expect(refused(() => modelOf("frames").predict(given)).message).toStartWith(
        "inputs: value 4 of sample 1 at step 1 is ",
      )
      expect(refused(() => modelOf("static").predict(given.slice(12, 24))).message).toStartWith(
        "inputs: value 4 of sample 1 is ",
      )
      expect(refused(() => modelOf("frames").step(given.slice(12, 24))).message).toStartWith(
        "frames: value 4 of sample 1 is ",
      )
      // A refused call leaves no trace.
      const model = modelOf("frames")
      const fine = Float32Array.from({ length: 12 }, (_, i) => i)
      const expected = [model.step(fine), model.step(fine)]
      model.begin()
      const first = model.step(fine)
      refused(() => model.step(given.slice(12, 24)))
      expect([first, model.step(fine)]).toEqual(expected)
    },
  )
  test("that overflow float32 are an error, not a NaN", async () => {
    const huge = Float32Array.of(...[3e38, 0, 3e38], ...[0, 0, 0], ...[3e38, 0, 3e38])
    expect(refused(() => mirror(1, 3).predict(huge)).message).toContain("output 0 of sample 0 is Infinity")
    const added = mirror(1, 3).stream(each([huge.slice(0, 3), huge.slice(0, 3)]))
    await added.next()
    await expect(added.next()).rejects.toThrow(InputError)
  })
  test("need a numeric margin", () => {
    for (const margin of ["2", null, Number.NaN, -1])
      refused(() => mirror(1, 1).predict(new Float32Array(3), { margin: margin as number }))
  })
})

test("weights that are not finite are neither saved, read nor loaded", () => {
  const tensors = new Map(parametersOf(conv))
  const [[name, first] = ["", { shape: [], values: new Float32Array() }]] = tensors
  tensors.set(name, { ...first, values: first.values.map((value, i) => (i === 3 ? Number.NaN : value)) })
  const error = Effect.runSync(Effect.flip(ProgramFile.save(conv, tensors, convOptions)))
  expect(error).toMatchObject({ _tag: "NonFiniteTensorError", tensor: name, index: 3 })

  const model = load(kernels, convFile)
  const inputs = numbers(5 * 128)
  const before = model.predict(inputs)
  expect(() => model.load(tensors)).toThrow(new InputError(`tensor ${name}: value 3 is NaN, not finite`))
  expect(model.predict(inputs)).toEqual(before)

  // The last value of the file is a weight.
  const changed = convFile.slice()
  new DataView(changed.buffer).setFloat32(changed.length - 4, Number.NaN, true)
  expect(() => load(kernels, changed)).toThrow(ProgramFileError)
  expect(Effect.runSync(Effect.flip(ProgramFile.read(changed, "file")))).toMatchObject({ _tag: "CheckpointError" })
})

describe("a damaged or foreign file is refused with the offset of the error", () => {
  const refusal = (file: Uint8Array): ProgramFileError => {
    try {
      load(kernels, file)
    } catch (error) {
      if (error instanceof ProgramFileError) return error
      throw error
    }
    throw new Error("the file was accepted")
  }
  /** The file with a changed tensor `program` or changed metadata. */
  const changed = (change: (words: Int32Array, metadata: Record<string, string>) => void): Uint8Array => {
    const { metadata, tensors } = Effect.runSync(Safetensors.decode(convFile, "file"))
    const begin = convFile.length - [...tensors.values()].reduce((sum, { values }) => sum + values.byteLength, 0)
    const count = tensors.get("program")?.values.length as number
    const words = new Int32Array(convFile.slice(begin, begin + 4 * count).buffer)
    const copy = { ...metadata }
    change(words, copy)
    return Safetensors.encode({
      tensors: new Map<string, { shape: ReadonlyArray<number>; values: Float32Array | Int32Array }>([
        ...tensors,
        ["program", { shape: [count], values: words }],
      ]),
      metadata: copy,
    })
  }

  test("truncated at any byte", () => {
    for (let length = 0; length < convFile.length; length += length < 300 ? 1 : 97)
      expect(refusal(convFile.subarray(0, length))).toMatchObject({ _tag: "ProgramFileError", offset: length })
  })
  test("PyTorch weights or anything else", () => {
    const weights = Safetensors.encode({ tensors: parametersOf(conv), metadata: { format: "pt" } })
    expect(refusal(weights).message).toStartWith("not a program file")
    expect(refusal(new Uint8Array(wasm)).message).toContain("truncated, or not a safetensors file")
  })
  test("another version, or other kernels", () => {
    const other = (name: string, value: string) =>
      refusal(
        changed((_, metadata) => {
          metadata[name] = value
        }),
      ).message
    expect(other("version", "2")).toBe("the program file has version 2; this library reads version 1")
    expect(other("kernelTable", "1")).toContain("another version")
    expect(other("program", "{")).toBe("the metadata `program` is not JSON")
    for (const text of ["null", "3", "{}", '{"encoding":"frames","buffers":3}', '{"encoding":"sound","buffers":{}}'])
      expect(other("program", text)).toBe("the metadata `program` lacks the encoding or the buffers")
    for (const index of [-1, 0.5, 999, null, "0", [1]])
      expect(other("program", JSON.stringify({ encoding: "frames", buffers: { input: index } }))).toBe(
        "the program has no buffer input of float32",
      )
  })
  test("a program that the kernels find inconsistent", () => {
    expect(refusal(changed((words) => words.fill(0))).message).toBe(
      "the program cannot run: this is not a packed program",
    )
    expect(
      refusal(
        changed((words) => {
          words[31 + 14] = 7
        }),
      ).message,
    ).toContain("buffer 0")
  })
  test("a program that needs more memory than allowed", () => {
    const arena = (megabytes: number) =>
      changed((words) => {
        words[4] = (megabytes * 2 ** 20) / 64
      })
    const noMemory = "the program cannot run: there is not enough memory"
    expect(refusal(arena(2 ** 16)).message).toBe(noMemory)
    expect(refusal(arena(200)).message).toBe(noMemory)
    expect(() => load(kernels, arena(20), { maximumBytes: 2 ** 24 })).toThrow(noMemory)
    expect(load(kernels, arena(20)).bytes).toBeGreaterThan(20 * 2 ** 20)
  })
  test("with random words changed, it is refused or runs within its memory", () => {
    const random = Key.generator(Key.make(3))
    const draw = (below: number) => Math.floor(random.nextDoubleUnsafe() * below)
    const values = [0, 1, -1, 2, 7, 1000, 2 ** 31 - 1, -(2 ** 31)]
    let refused = 0
    for (let i = 0; i < 200; i++) {
      const file = changed((words) => {
        for (let k = 0; k <= draw(3); k++) words[draw(words.length)] = values[draw(values.length)] as number
      })
      try {
        const model = load(kernels, file)
        const count = (model.encoding === "frames" ? model.timeSteps : 1) * model.shape.reduce((a, b) => a * b, 1)
        // A changed number of time steps is still a valid program, but may be a slow one.
        if (model.timeSteps < 1000) model.predict(new Float32Array(count * model.batchSize))
      } catch (error) {
        expect(error).toBeInstanceOf(ProgramFileError)
        refused++
      }
    }
    expect(refused).toBeGreaterThan(100)
  })
})
