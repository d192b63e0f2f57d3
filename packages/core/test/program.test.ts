/** Programs: what is compiled, in which order it runs, how it prints, and what is no program. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import {
  averagePool,
  Backend,
  batchNorm,
  conv2d,
  defaultLoss,
  dropout,
  flatten,
  Graph,
  lif,
  linear,
  Optimizer,
  type OptionError,
  Policy,
  Program,
  residual,
  Shape,
  Steps,
  scaledWeightStandardizedConv2d,
} from "../src/index.ts"
import { onOracle } from "./support.ts"

const graph = Graph.makeUnsafe(
  [3],
  Graph.sequential(linear({ features: 2, bias: false }), lif({ tau: 2 }), linear({ features: 2, bias: false })),
)

const options: Program.TrainingOptions = {
  batchSize: 1,
  timeSteps: 2,
  encoding: "frames",
  loss: defaultLoss,
  optimizer: Optimizer.sgd(),
}

const compile = (policy: Policy.Policy, changed: Partial<Program.TrainingOptions> = {}, network = graph) =>
  Effect.runSync(Program.compile(network, policy, { ...options, ...changed }))

const refusal = (policy: Policy.Policy, changed: Partial<Program.TrainingOptions>) =>
  Effect.runSync(
    Program.compile(graph, policy, { ...options, ...changed }).pipe(
      Effect.match({ onSuccess: () => "no error", onFailure: ({ _tag, message }) => `${_tag}: ${message}` }),
    ),
  )

describe("compiling refuses", () => {
  const fault = (changed: object): OptionError =>
    Effect.runSync(Effect.flip(Program.compile(graph, Policy.sltt, { ...options, ...changed }))) as OptionError
  test("batches and times that are no counts", () => {
    for (const count of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "2", 2 ** 31]) {
      expect(fault({ batchSize: count })).toMatchObject({ _tag: "OptionError", option: "batchSize", value: count })
      expect(fault({ timeSteps: count })).toMatchObject({ _tag: "OptionError", option: "timeSteps", value: count })
      expect(fault({ microBatches: count })).toMatchObject({ _tag: "OptionError", option: "microBatches" })
      const inference = Program.compileInference(graph, { batchSize: count as number, timeSteps: 1 })
      expect(Effect.runSync(Effect.flip(inference))).toMatchObject({ _tag: "OptionError", option: "batchSize" })
    }
  })
  const cases: ReadonlyArray<readonly [string, object, string, string?]> = [
    ["what is no optimiser", { optimizer: { name: "adam", beta1: 0.9 } }, "optimizer"],
    ["no optimiser", { optimizer: undefined }, "optimizer"],
    ["a loss's mix of 2", { loss: { mix: 2, target: "ones" } }, "loss.mix"],
    ["a loss's target", { loss: { mix: 1, target: "onehot" } }, "loss.target", "one-hot"],
    ["an encoding", { encoding: "frame" }, "encoding", "frames"],
    ["what is observed", { observe: ["nope"] }, "observe"],
    ["what is observed, as text", { observe: "0" }, "observe"],
    ["a misspelt option", { microbatches: 2 }, "microbatches", "microBatches"],
    ["hoist", { hoist: "no" }, "hoist"],
    ["parts that do not divide the batch", { batchSize: 4, microBatches: 3 }, "microBatches"],
  ]
  for (const [name, changed, option, similar] of cases)
    test(name, () => {
      const error = fault(changed)
      expect(error).toMatchObject({ _tag: "OptionError", option })
      expect(error.similar).toBe(similar)
    })
  test("a node that is nearly one of the graph's", () => {
    const named = Graph.makeUnsafe([3], Graph.sequential(Graph.block((x) => x.pipe(Graph.named("hidden", lif())))))
    const compiled = Program.compile(named, Policy.sltt, { ...options, observe: ["0.hiden"] })
    expect(Effect.runSync(Effect.flip(compiled))).toMatchObject({ option: "observe", similar: "0.hidden" })
  })
  test("what is no graph", () => {
    const compiled = Program.compile(Graph.make([3], lif()) as never, Policy.sltt, options)
    expect(Effect.runSync(Effect.flip(compiled))).toMatchObject({ _tag: "OptionError", option: "graph" })
  })
  test("options that are left out are their defaults, also where they are undefined", () => {
    const given = { encoding: undefined, microBatches: undefined, observe: undefined, hoist: undefined }
    const compiled = (changed: object) =>
      Effect.runSync(Program.compileInference(graph, { batchSize: 1, timeSteps: 1, ...changed }))
    expect(compiled(given)).toEqual(compiled({}))
  })
  test("batch norm over parts of a batch, or over a single value for each channel", () => {
    const normalised = Graph.makeUnsafe([3], Graph.sequential(batchNorm(), linear({ features: 2 })))
    const tag = (graph: Graph.Graph, changed: object) =>
      Effect.runSync(
        Program.compile(graph, Policy.sltt, { ...options, ...changed }).pipe(
          Effect.match({ onSuccess: () => "no error", onFailure: ({ _tag }) => _tag }),
        ),
      )
    expect(tag(normalised, { batchSize: 4, microBatches: 2 })).toBe("ProgramError")
    expect(tag(normalised, { batchSize: 1 })).toBe("ProgramError")
    expect(tag(normalised, { batchSize: 2 })).toBe("no error")
    const image = (...shape: ReadonlyArray<number>) => Graph.makeUnsafe(shape, Graph.sequential(batchNorm(), flatten()))
    expect(tag(image(1, 1, 3), { batchSize: 1 })).toBe("ProgramError")
    expect(tag(image(1, 2, 3), { batchSize: 1 })).toBe("no error")
    // Inference takes the running statistics.
    expect(Effect.runSync(Program.compileInference(normalised, { batchSize: 1, timeSteps: 1 })).batchSize).toBe(1)
  })
  test("policies that train more steps than there are", () => {
    expect(refusal(Policy.slttK(3), {})).toBe(
      'PolicyError: policy "slttk(3)": it trains 3 of 2 time steps; choose from 1 to 2',
    )
  })
})

describe("schedules", () => {
  /** `begin`, `train 0`, … */
  const calls = (policy: Policy.Policy, timeSteps: number, trained: ReadonlyArray<number>) =>
    Program.schedule(compile(policy, { timeSteps }), trained).map(({ segment, t }) =>
      ["clear", "begin", "end", "update"].includes(segment) ? segment : `${segment} ${t}`,
    )
  test("sltt trains each step as soon as it has run", () => {
    expect(calls(Policy.sltt, 3, [0, 1, 2])).toEqual([
      "clear",
      "begin",
      "train 0",
      "train 1",
      "train 2",
      "end",
      "update",
    ])
  })
  test("slttk runs the others forward only", () => {
    expect(calls(Policy.slttK(2), 4, [1, 3])).toEqual([
      "clear",
      "begin",
      "forward 0",
      "train 1",
      "forward 2",
      "train 3",
      "end",
      "update",
    ])
  })
  test("bptt goes forward and then back", () => {
    expect(calls(Policy.bptt, 3, [0, 1, 2])).toEqual([
      "clear",
      "begin",
      "keep 0",
      "keep 1",
      "keep 2",
      "beginBackward 2",
      "backward 2",
      "backward 1",
      "backward 0",
      "end",
      "update",
    ])
  })
  test("bptt on some steps keeps up to the last of them and goes back through those without a loss", () => {
    const policy = Policy.bptt.pipe(
      Policy.trainOn(
        Steps.custom(
          "first and third",
          () => 2,
          () => Effect.succeed([0, 2]),
        ),
      ),
    )
    expect(calls(policy, 4, [0, 2])).toEqual([
      "clear",
      "begin",
      "keep 0",
      "keep 1",
      "keep 2",
      "beginBackward 2",
      "backward 2",
      "backwardThrough 1",
      "backward 0",
      "forward 3",
      "end",
      "update",
    ])
  })
  test("tbptt goes back at the end of each window, the last of which may be shorter", () => {
    expect(calls(Policy.tbptt(2), 3, [0, 1, 2])).toEqual([
      "clear",
      "begin",
      "keep 0",
      "keep 1",
      "beginBackward 1",
      "backward 1",
      "backward 0",
      "keep 2",
      "beginBackward 2",
      "backward 2",
      "end",
      "update",
    ])
  })
  test("inference only goes forward", () => {
    const program = Effect.runSync(Program.compileInference(graph, { batchSize: 1, timeSteps: 2 }))
    expect(Program.schedule(program, []).map(({ segment }) => segment)).toEqual([
      "clear",
      "begin",
      "forward",
      "forward",
    ])
  })
  test("micro-batches clear before the first and update after the last", () => {
    const program = compile(Policy.sltt, { batchSize: 4, microBatches: 2, timeSteps: 1 })
    expect([0, 1].map((part) => Program.schedule(program, [0], part).map(({ segment }) => segment))).toEqual([
      ["clear", "begin", "train", "end"],
      ["begin", "train", "end", "update"],
    ])
  })
})

describe("what does not change over time", () => {
  const kernelsIn = (program: Program.Program, segment: Program.SegmentName) =>
    program.segments[segment].map(({ kernel }) => kernel).filter((kernel) => kernel !== "zero")
  const network = Graph.makeUnsafe(
    [4, 4, 1],
    Graph.sequential(
      conv2d({ channels: 2, kernelSize: 3, bias: false }),
      batchNorm(),
      lif(),
      scaledWeightStandardizedConv2d({ channels: 2, kernelSize: 2, bias: false }),
      lif(),
      dropout(0.5),
      flatten(),
      linear({ features: 2, bias: false }),
    ),
  )
  test("with one image, runs once: all before the first neuron, standardised weights, dropout's mask", () => {
    const program = compile(Policy.sltt, { encoding: "static", timeSteps: 5 }, network)
    expect(kernelsIn(program, "begin")).toEqual([
      "conv2d.forward",
      "batchNorm.forward",
      "weightStandardization.forward",
      "dropout.mask",
    ])
    expect(kernelsIn(program, "end")).toEqual([
      "weightStandardization.backward",
      "batchNorm.backward",
      "conv2d.weightGradient",
    ])
    // One run moves the running statistics as often as the steps would have.
    expect(program.segments.begin.find(({ kernel }) => kernel === "batchNorm.forward")?.attributes).toEqual({
      updates: 5,
    })
  })
  test("with frames, weights and masks alone", () => {
    const program = compile(Policy.sltt, {}, network)
    expect(kernelsIn(program, "begin")).toEqual(["weightStandardization.forward", "dropout.mask"])
    expect(program.segments.train.find(({ kernel }) => kernel === "batchNorm.forward")?.attributes).toEqual({
      updates: 1,
    })
  })
  test("stays in the loop where hoisting is off, but for the mask that all steps share", () => {
    expect(kernelsIn(compile(Policy.sltt, { encoding: "static", hoist: false }, network), "begin")).toEqual([
      "dropout.mask",
    ])
  })
})

describe("the gradient of an average pool behind neurons", () => {
  type Layer = ReturnType<typeof averagePool>
  const pooling = (...behind: ReadonlyArray<Layer>) => {
    const layers = [conv2d({ channels: 3, kernelSize: 3 }), lif(), ...behind, flatten(), linear({ features: 2 })]
    return (policy: Policy.Policy) => compile(policy, {}, Graph.makeUnsafe([6, 6, 2], Graph.sequential(...layers)))
  }
  const backward = ({ segments }: Program.Program) => [...segments.train, ...segments.backward]

  test.each([Policy.sltt, Policy.bptt])("$name: is the neurons' own, where windows lie side by side", (policy) => {
    const program = pooling(averagePool({ kernelSize: 2 }))(policy)
    expect(backward(program).map(({ kernel }) => kernel)).not.toContain("averagePool.backward")
    const [neurons] = backward(program).filter(({ kernel }) => kernel === "elementwise.backward")
    expect(neurons?.attributes).toMatchObject({ pool: { kernelSize: 2 } })
    expect(program.buffers[neurons?.operands.dy?.buffer as number]?.shape).toEqual([1, 2, 2, 3])
    expect(program.buffers.filter(({ role, owner }) => role === "gradient" && owner === "1")).toEqual([])
    expect(Program.defects(program)).toEqual([])
  })
  const apart: ReadonlyArray<readonly [string, ReadonlyArray<Layer>]> = [
    ["windows overlap", [averagePool({ kernelSize: 2, stride: 1 })]],
    ["pixels lie between windows", [averagePool({ kernelSize: 1, stride: 2 })]],
    ["they reach over the border", [averagePool({ kernelSize: 2, padding: 1 })]],
    ["another layer lies between", [conv2d({ channels: 4, kernelSize: 1 }), averagePool({ kernelSize: 2 })]],
    ["the neurons feed something else too", [residual(averagePool({ kernelSize: 1 }))]],
  ]
  test.each(apart)("is made where %s", (_, behind) => {
    expect(backward(pooling(...behind)(Policy.bptt)).map(({ kernel }) => kernel)).toContain("averagePool.backward")
  })
})

describe("buffers say what they hold", () => {
  const network = Graph.makeUnsafe(
    [4, 4, 1],
    Graph.sequential(
      conv2d({ channels: 2, kernelSize: 3 }),
      batchNorm(),
      lif(),
      averagePool({ kernelSize: 2, stride: 1 }),
      dropout(0.5),
      flatten(),
      linear({ features: 2 }),
    ),
  )
  const lean = Policy.bptt.pipe(Policy.checkpoint(2), Policy.recompute)
  const program = compile(lean, { timeSteps: 4, observe: ["2"] }, network)
  const held = (role: Program.BufferRole) =>
    program.buffers.flatMap((buffer) => (buffer.role === role ? [[buffer.owner, buffer.scope, buffer.kind]] : []))

  test("role, owner and the segments that have them for themselves", () => {
    expect(held("labels")).toEqual([[undefined, undefined, "input"]])
    expect(held("key")).toEqual([["4.mask", undefined, "input"]])
    expect(held("state")).toEqual([["2", undefined, "state"]])
    expect(held("checkpoint")).toEqual([["2", undefined, "state"]])
    expect(held("carry")).toEqual([["2", undefined, "accumulator"]])
    expect(held("recomputed")).toContainEqual(["3", "backward", "scratch"])
    expect(held("value")).toContainEqual(["2", undefined, "metric"])
    expect(held("residual")).toContainEqual(["1", "keep", "residual"])
    expect(held("gradient").filter(([, , kind]) => kind === "gradient")).toHaveLength(6)
    expect(held("gradient")).toContainEqual(["2", "backward", "scratch"])
    // A step that is replayed has the rest of its values for itself.
    expect(held("value").filter(([, scope]) => scope === "replay")).not.toEqual([])
  })
  test("their names follow from that, and differ", () => {
    for (const buffer of program.buffers) expect(Program.nameOf(buffer)).toBe(buffer.name)
    expect(new Set(program.buffers.map(({ name }) => name)).size).toBe(program.buffers.length)
    expect(Program.nameOf({ role: "optimizer", owner: "0.weight" })).toBe(Program.bufferNames.optimizer("0.weight"))
    expect(Program.nameOf({ role: "residual", owner: "1", part: "mean", scope: "batch" })).toBe("batch/1.mean")
  })
})

describe("the range of gradients", () => {
  test("is that of the gradients of all weights, one behind the other", () => {
    for (const policy of [Policy.bptt, Policy.sltt, Policy.ottt, Policy.checkpointedBptt]) {
      const program = compile(policy)
      const gradients = program.buffers.filter(({ name }) => /^gradient\//.test(name))
      expect(gradients.map(({ owner }) => owner)).toEqual(["0.weight", "2.weight"])
      expect(Program.gradientRange(program)).toEqual({ offset: 128, bytes: 128 })
      expect(gradients.map(({ offset }) => offset)).toEqual([128, 192])
    }
    const inference = Effect.runSync(Program.compileInference(graph, { batchSize: 1, timeSteps: 2 }))
    expect(Program.gradientRange(inference)).toEqual({ offset: 0, bytes: 0 })
  })
  test("two machines that take half a batch each and average their gradients update as one that takes the whole", async () => {
    const network = Graph.makeUnsafe(
      [3],
      Graph.sequential(linear({ features: 4 }), lif({ tau: 2 }), linear({ features: 2 })),
    )
    const inputs = Float32Array.from({ length: 2 * 4 * 3 }, (_, i) => Math.sin(1 + i) * 2)
    const labels = Float32Array.of(0, 1, 1, 0)
    const samples = (t: number, from: number, to: number) => inputs.subarray((4 * t + from) * 3, (4 * t + to) * 3)
    const ofHalf = (from: number, to: number) => Float32Array.from([0, 1].flatMap((t) => [...samples(t, from, to)]))

    const updated = (parts: ReadonlyArray<readonly [number, number]>) =>
      onOracle(
        Effect.gen(function* () {
          const program = compile(Policy.bptt, { batchSize: 4 / parts.length }, network)
          const machines = yield* Effect.forEach(parts, () => Effect.flatMap(Backend, (each) => each.prepare(program)))
          const calls = Program.schedule(program, [0, 1])
          for (const [i, [from, to]] of parts.entries()) {
            const machine = machines[i]!
            for (const { name, kind, shape } of program.buffers)
              if (kind === "parameter")
                yield* machine.write(
                  name,
                  Float32Array.from({ length: Shape.size(shape) }, (_, k) => Math.cos(k)),
                )
            yield* machine.write(Program.bufferNames.hyperparameters, Float32Array.of(0.5))
            yield* machine.write(Program.bufferNames.labels, labels.slice(from, to))
            yield* machine.run(calls.slice(0, -1), ofHalf(from, to))
          }
          for (const { name } of program.buffers.filter(({ kind }) => kind === "gradient")) {
            const all = yield* Effect.forEach(machines, (each) => each.read(name))
            const mean = all[0]!.map((_, k) => all.reduce((sum, each) => sum + each[k]!, 0) / all.length)
            for (const machine of machines) yield* machine.write(name, mean)
          }
          for (const machine of machines) yield* machine.run(calls.slice(-1))
          const weights = program.buffers.filter(({ kind }) => kind === "parameter").map(({ name }) => name)
          return yield* Effect.forEach(machines, (each) => Effect.forEach(weights, (name) => each.read(name)))
        }),
      )
    const [whole] = await updated([[0, 4]])
    const halves = await updated([
      [0, 2],
      [2, 4],
    ])
    expect(halves[0]).toEqual(halves[1])
    for (const [i, weights] of whole!.entries())
      for (const [k, value] of weights.entries()) expect(halves[0]![i]![k]).toBeCloseTo(value, 6)
    expect([...whole![0]!].some((value, k) => Math.abs(value - Math.cos(k)) > 1e-3)).toBe(true)
  })
})

test("a program prints as its instructions, then its memory", () => {
  expect(Program.format(compile(Policy.sltt)).split("\n")).toEqual([
    "clear:",
    "  zero target=metrics",
    "  zero target=gradient/0.weight",
    "  zero target=gradient/2.weight",
    "begin:",
    "  zero target=outputs",
    "  zero target=state/1[t−1]",
    "train:",
    "  linear.forward x=input weight=parameter/0.weight y=train/0",
    "  elementwise.forward x0=train/0 before=state/1[t−1] state=state/1 y=train/1",
    "  linear.forward x=train/1 weight=parameter/2.weight y=train/2",
    "  loss.forward logits=train/2 labels=labels metrics=metrics outputs=outputs",
    "  spikes.rate spikes=train/1 metrics=metrics",
    "  loss.backward logits=train/2 labels=labels logitsGradient=train/gradient/2",
    "  linear.weightGradient x=train/1 outputGradient=train/gradient/2 weightGradient+=gradient/2.weight",
    "  linear.inputGradient outputGradient=train/gradient/2 weight=parameter/2.weight inputGradient=train/gradient/1",
    "  elementwise.backward state=state/1 dy=train/gradient/1 dx0=train/gradient/0",
    "  linear.weightGradient x=input outputGradient=train/gradient/0 weightGradient+=gradient/0.weight",
    "update:",
    "  elementwise.forward x0=gradient/0.weight x1=parameter/0.weight before=optimizer/0.weight h=hyperparameters state=optimizer/0.weight y=parameter/0.weight",
    "  elementwise.forward x0=gradient/2.weight x1=parameter/2.weight before=optimizer/2.weight h=hyperparameters state=optimizer/2.weight y=parameter/2.weight",
    "parameter             0       64 B  parameter/0.weight float32 [3, 2]",
    "parameter            64       64 B  parameter/2.weight float32 [2, 2]",
    "gradient            128       64 B  gradient/0.weight float32 [3, 2]",
    "gradient            192       64 B  gradient/2.weight float32 [2, 2]",
    "optimizer           256       64 B  optimizer/0.weight float32 [3, 2]",
    "optimizer           320       64 B  optimizer/2.weight float32 [2, 2]",
    "input               384       64 B  input float32 [1, 3]",
    "input               448       64 B  labels float32 [1]",
    "input               512       64 B  hyperparameters float32 [1]",
    "metric              576       64 B  outputs float32 [1, 2]",
    "metric              640       64 B  metrics float32 [2]",
    "state               704       64 B  state/1 float32 [1, 2]",
    "scratch             768       64 B  train/0 float32 [1, 2]",
    "scratch             832       64 B  train/1 spikes [1, 2]",
    "scratch             768       64 B  train/2 float32 [1, 2]",
    "scratch             896       64 B  train/gradient/2 float32 [1, 2]",
    "scratch             768       64 B  train/gradient/1 float32 [1, 2]",
    "scratch             832       64 B  train/gradient/0 float32 [1, 2]",
  ])
})

test("buffers of several time steps print their number", () => {
  const lines = Program.format(compile(Policy.bptt)).split("\n")
  expect(lines).toContain("state               768      128 B  state/1 float32 [1, 2] ×2")
  expect(lines).toContain("input               384      128 B  input float32 [1, 3] ×2")
})

describe("defects of a program that was changed", () => {
  const program = compile(Policy.sltt)
  const buffer = (name: string) => program.buffers.findIndex((each) => each.name === name)
  const withBuffer = (name: string, changed: Partial<Program.Buffer>): Program.Program => ({
    ...program,
    buffers: program.buffers.map((each) => (each.name === name ? { ...each, ...changed } : each)),
  })
  const withInstruction = (i: number, changed: Partial<Program.Instruction>): Program.Program => ({
    ...program,
    segments: {
      ...program.segments,
      train: program.segments.train.map((each, k) => (k === i ? { ...each, ...changed } : each)),
    },
  })
  const [first, second] = program.segments.train as [Program.Instruction, Program.Instruction]
  const defectsOf = (changed: Program.Program) => Program.defects(changed)
  test("the program as it was has none", () => {
    expect(defectsOf(program)).toEqual([])
    expect(Effect.runSync(Program.check(program))).toBe(program)
  })
  test("buffers outside the arena or over each other", () => {
    expect(defectsOf(withBuffer("train/gradient/2", { offset: 900 }))).toEqual([
      "train/gradient/2 lies outside the arena",
    ])
    expect(defectsOf(withBuffer("input", { offset: -64 }))).toContain("input lies outside the arena")
    expect(defectsOf(withBuffer("labels", { offset: 384 }))).toEqual([
      "input and labels are alive together and overlap",
    ])
    expect(defectsOf(withBuffer("input", { stride: 8 }))).toEqual(["the slots of input overlap"])
  })
  test("something among the gradients, which are one range", () => {
    const moved = withBuffer("gradient/2.weight", { offset: program.arenaBytes - 64 })
    expect(defectsOf(moved)).toContain("labels lies among the gradients")
  })
  test("instructions that nobody knows, or that lack an operand or have one too many", () => {
    const { x: _, ...without } = first.operands
    expect(defectsOf(withInstruction(0, { kernel: "none" }))[0]).toBe("train: there is no kernel none")
    expect(defectsOf(withInstruction(0, { operands: without }))).toEqual(["train: linear.forward of 0: x is missing"])
    expect(defectsOf(withInstruction(0, { operands: { ...first.operands, z: { buffer: 0 } } }))).toEqual([
      "train: linear.forward has no operand z",
    ])
    expect(defectsOf(withInstruction(0, { operands: { ...first.operands, x: { buffer: 99 } } }))).toEqual([
      "train: linear.forward of 0: x is buffer 99, which does not exist",
    ])
  })
  test("a read before any write", () => {
    const operands = { ...second.operands, x0: { buffer: buffer("train/2") } }
    expect(defectsOf(withInstruction(1, { operands }))).toEqual([
      "train: elementwise.forward of 1: x0 reads train/2 before anything wrote it",
    ])
    const failure = Effect.runSync(Effect.flip(Program.check(withInstruction(1, { operands }))))
    expect(failure.message).toContain("before anything wrote it")
  })
})
