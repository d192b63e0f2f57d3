/**
 * The compiler: graph and policy become a program.
 *
 * It lowers every node to instructions, forward and backward, and moves out of the time loop what does not change over time.
 * A value that does not change (a standardised weight; with a static image, all that lies before the first neuron) is computed
 * once a batch; the gradients that the time steps send to it are summed, and its own backward direction runs once, which is
 * exact because every backward direction is linear in the gradient.
 */
import { copy, firingRate, updateTrace, zero } from "../bookkeeping.ts"
import { type Graph, inputName, type Node } from "../graph/graph.ts"
import { accumulateOutputs, type Loss, lossBackward, lossForward } from "../loss.ts"
import type { AnyOp, Context, Emit, Mode, Ref, ValueType } from "../op.ts"
import { ops } from "../ops/index.ts"
import { type OptimizerOptions, optimizers } from "../optimizers/index.ts"
import type { Shape } from "../shape.ts"
import type { Elements } from "../spikes.ts"
import { fuse } from "./fuse.ts"
import { type DraftBuffer, layOut } from "./layout.ts"
import {
  type BufferKind,
  bufferNames,
  type Encoding,
  type Instruction,
  microBatchSize,
  type Program,
  type SegmentName,
  segmentNames,
} from "./program.ts"
import { recomputed } from "./recompute.ts"
import { keepOverTime } from "./residuals.ts"
import type { Decay } from "./traces.ts"

/** What a program is lowered for: a policy and options, all decided. */
export interface Request {
  readonly mode: Mode
  readonly batchSize: number
  readonly microBatches: number
  readonly timeSteps: number
  readonly encoding: Encoding
  readonly observe: ReadonlyArray<string>
  readonly window: number
  readonly stretch: number
  /** Maps by weights that have a presynaptic trace, by name. */
  readonly traces: ReadonlyMap<string, Decay>
  readonly resetGradient: boolean
  /** Whether what maps gave is computed again rather than kept. */
  readonly recompute: boolean
  /** Whether some steps inside a window may have no loss. */
  readonly partial: boolean
  readonly trainedSteps: number
  readonly policy: string
  readonly loss: Loss | undefined
  readonly optimizer: OptimizerOptions | undefined
  readonly hoist: boolean
}

/** Values live in a scope: once a micro-batch, or anew in each kind of step. */
type Scope = "batch" | "forward" | "train" | "keep"

export const lower = (graph: Graph, request: Request): Program => {
  const { mode, batchSize, microBatches, timeSteps, window, stretch, traces } = request
  const samples = microBatchSize(request)
  const training = mode === "training"

  // --- what the graph's values are

  const nodes = new Map(graph.nodes.map((node) => [node.name, node]))
  const parameters = new Map(graph.parameters.map((parameter) => [parameter.name, parameter]))
  const opOf = (node: Node): AnyOp => ops.get(node.op) as AnyOp
  const isView = (node: Node): boolean => opOf(node).view?.(mode) ?? false
  const inputsOf = (node: Node): ReadonlyArray<string> => (isView(node) ? node.inputs.slice(0, 1) : node.inputs)
  const typeOf = (value: string): ValueType => graph.types.get(value) as ValueType

  /** The value whose memory this one shares. */
  const base = (value: string): string => {
    const node = nodes.get(value)
    return node !== undefined && isView(node) ? base(node.inputs[0] as string) : value
  }

  const live = new Set<string>()
  const visit = (value: string): void => {
    if (live.has(value)) return
    live.add(value)
    const node = nodes.get(value)
    if (node) inputsOf(node).forEach(visit)
  }
  visit(graph.output)
  const liveNodes = graph.nodes.filter((node) => live.has(node.name) && !isView(node))

  const invariant = new Set<string>(parameters.keys())
  if (request.encoding === "static" && request.hoist) invariant.add(inputName)
  const wanted = new Set<string>(graph.parameters.filter(({ role }) => role === "weight").map(({ name }) => name))
  for (const node of graph.nodes) {
    const inputs = inputsOf(node)
    const stateless = opOf(node).state === undefined
    if (stateless && inputs.every((input) => invariant.has(input)) && (request.hoist || inputs.length === 0))
      invariant.add(node.name)
    if (inputs.some((input) => wanted.has(input))) wanted.add(node.name)
  }
  const hoisted = liveNodes.filter((node) => invariant.has(node.name))
  const repeated = liveNodes.filter((node) => !invariant.has(node.name))
  const again = request.recompute
    ? recomputed(repeated, typeOf, (node) => inputsOf(node).map(base), base(graph.output))
    : new Set<string>()
  const observed = new Set(request.observe.map(base))
  const usedInLoop = new Set(repeated.flatMap((node) => inputsOf(node).map(base)))
  usedInLoop.add(base(graph.output))

  // --- buffers

  const buffers: Array<DraftBuffer> = []
  const indices = new Map<string, number>()
  const buffer = (
    name: string,
    kind: BufferKind,
    shape: Shape,
    elements: Elements = "float32",
    slots = 1,
    every = 1,
  ): Ref => {
    let index = indices.get(name)
    if (index === undefined) {
      index = buffers.length
      indices.set(name, index)
      buffers.push({ name, kind, shape, elements, slots, ...(every > 1 ? { every } : {}) })
    }
    return { buffer: index }
  }
  const fullShape = ({ shape, batched }: ValueType): Shape => (batched ? [samples, ...shape] : shape)
  const classes = typeOf(graph.output).shape[0] as number

  const parameterRef = (name: string): Ref => {
    const { role, shape } = parameters.get(name) as NonNullable<ReturnType<typeof parameters.get>>
    return buffer(bufferNames.parameter(name), role === "weight" ? "parameter" : "statistic", shape)
  }
  for (const { name, role } of graph.parameters) if (role === "weight") parameterRef(name)
  for (const { name, role } of graph.parameters) if (role === "statistic") parameterRef(name)
  const weights = graph.parameters.filter(({ name, role }) => role === "weight" && live.has(name))
  if (training) for (const { name, shape } of weights) buffer(bufferNames.gradient(name), "gradient", shape)

  const input = buffer(bufferNames.input, "input", fullShape(typeOf(inputName)))
  const outputs = buffer(bufferNames.outputs, "metric", [samples, classes])
  const spiking = liveNodes.filter((node) => opOf(node).state !== undefined && typeOf(node.name).elements === "spikes")
  const metrics = buffer(bufferNames.metrics, "metric", [1 + spiking.length])

  const scopeOf = (value: string, scope: Scope): Scope =>
    invariant.has(value) || observed.has(value) ? "batch" : scope
  /** Where a value lies for the instructions of `scope`. */
  const valueRef = (value: string, scope: Scope): Ref => {
    const name = base(value)
    if (name === inputName) return input
    if (parameters.has(name)) return parameterRef(name)
    const where = scopeOf(name, scope)
    const kind = observed.has(name) ? "metric" : "scratch"
    return buffer(
      where === "batch" ? bufferNames.value(name) : `${where}/${name}`,
      kind,
      fullShape(typeOf(name)),
      typeOf(name).elements,
    )
  }
  const stateRef = (node: Node): Ref => {
    const { kept, keptBefore } = opOf(node).state!(node.attributes)
    const needed = training && wanted.has(node.name)
    const slots = (needed && kept ? stretch : 1) + (needed && keptBefore ? 1 : 0)
    return buffer(bufferNames.state(node.name), "state", fullShape(typeOf(node.name)), "float32", slots)
  }
  /** What `save` keeps of the state, for each stretch of a window that runs again and, where more follows, for what is next. */
  const checkpointRef = (node: Node): Ref => {
    const whole = window === timeSteps && !request.partial
    const slots = Math.ceil(window / stretch) + (whole ? -1 : 1)
    return buffer(`checkpoint/${node.name}`, "state", fullShape(typeOf(node.name)), "float32", slots, stretch)
  }
  const traceRef = (value: string): Ref => buffer(`trace/${base(value)}`, "state", fullShape(typeOf(base(value))))
  const carryRef = (node: Node): Ref => buffer(`carry/${node.name}`, "accumulator", fullShape(typeOf(node.name)))
  const accumulatorRef = (value: string): Ref => buffer(`accumulator/${value}`, "accumulator", fullShape(typeOf(value)))

  // --- instructions

  const segments = Object.fromEntries(segmentNames.map((name) => [name, []])) as unknown as Record<
    SegmentName,
    Array<Instruction>
  >
  const emitter =
    (segment: SegmentName, node: string, phase: Instruction["phase"]): Emit =>
    (kernel, operands, ...[attributes]) => {
      const present = Object.entries<Ref | undefined>(operands).filter(([, ref]) => ref !== undefined)
      segments[segment].push({
        kernel: kernel.name,
        operands: Object.fromEntries(present) as Instruction["operands"],
        attributes: { ...(attributes as object | undefined) },
        node,
        phase,
      })
    }

  const context = (node: Node, scope: Scope, emit: Emit): Context<unknown> => ({
    attributes: node.attributes,
    mode,
    timeSteps,
    emit,
    arity: node.inputs.length,
    inputType: (i) => typeOf(node.inputs[i] as string),
    input: (i) => valueRef(node.inputs[i] as string, scope),
    output: valueRef(node.name, scope),
    residual: (name, shape, elements) =>
      buffer(`${scopeOf(node.name, scope)}/${node.name}.${name}`, "scratch", shape, elements),
    state: () => {
      const now = stateRef(node)
      return { now, before: { ...now, lag: 1 } }
    },
  })

  /** Emits a node's forward direction; `overrides` say where else its values lie. */
  const forward = (
    node: Node,
    scope: Scope,
    segment: SegmentName,
    phase: Instruction["phase"],
    overrides: Partial<Pick<Context<unknown>, "input" | "output">> = {},
  ): void =>
    opOf(node).forward({
      ...context(node, scope, emitter(segment, node.name, phase)),
      steps: scope === "batch" ? timeSteps : segment === "replay" ? 0 : 1,
      key: () => buffer(bufferNames.key(node.name), "input", [2], "words"),
      ...overrides,
    })

  /** Losses and firing rates are means over so many calls. */
  const terms = timeSteps * microBatches
  const lossAttributes = { ...(request.loss as Loss), terms }

  /** Moves the trace of a map's input by one step. */
  const moveTrace = (node: Node, decay: Decay, scope: Scope, segment: SegmentName): void => {
    const x = valueRef(node.inputs[0] as string, scope)
    const trace = traceRef(node.inputs[0] as string)
    const emit = emitter(segment, node.name, "backward")
    if (typeof decay === "number") emit(updateTrace, { x, trace }, { decay })
    else emit(updateTrace, { x, decay: valueRef(decay.value, scope), trace })
  }

  const forwardStep = (scope: Scope, segment: SegmentName): void => {
    const traced = new Set<string>()
    for (const node of repeated) {
      const decay = traces.get(node.name)
      const value = base(node.inputs[0] ?? "")
      if (decay !== undefined && !traced.has(value)) moveTrace(node, decay, scope, segment)
      if (decay !== undefined) traced.add(value)
      forward(node, scope, segment, "forward")
    }
    if (segment === "replay") return
    const emit = emitter(segment, graph.output, "forward")
    const logits = valueRef(graph.output, scope)
    if (training) emit(lossForward, { logits, labels, metrics, outputs }, lossAttributes)
    else emit(accumulateOutputs, { logits, outputs })
    spiking.forEach((node, i) => {
      emitter(segment, node.name, "forward")(
        firingRate,
        { spikes: valueRef(node.name, scope), metrics },
        { index: 1 + i, terms },
      )
    })
  }

  /** Backward through `nodes`, given the values of `scope`. */
  const backward = (steps: ReadonlyArray<Node>, scope: Scope, segment: SegmentName, withLoss: boolean): void => {
    const written = new Set<string>()
    const recalled = new Map<string, Ref>()
    const separate = segment === "backward" || segment === "backwardThrough"

    /** A value of the forward step, kept or computed again. */
    const recall = (value: string): Ref => {
      const name = base(value)
      const node = nodes.get(name)
      const kept = !again.has(name) && !(separate && node !== undefined && opOf(node).recompute === "cheap")
      if (kept || node === undefined || scopeOf(name, scope) === "batch") return valueRef(name, scope)
      const known = recalled.get(name)
      if (known) return known
      const ref = buffer(`${segment}/again/${name}`, "scratch", fullShape(typeOf(name)), typeOf(name).elements)
      recalled.set(name, ref)
      forward(node, scope, segment, "backward", { output: ref, input: (i) => recall(node.inputs[i] as string) })
      return ref
    }

    const gradientRef = (value: string): Ref | undefined => {
      const name = base(value)
      if (!wanted.has(name)) return undefined
      if (parameters.has(name)) return { ...buffer(bufferNames.gradient(name), "gradient", []), accumulate: true }
      if (invariant.has(name) && usedInLoop.has(name)) return { ...accumulatorRef(name), accumulate: true }
      const ref = buffer(`${segment}/gradient/${name}`, "scratch", fullShape(typeOf(name)))
      if (written.has(name)) return { ...ref, accumulate: true }
      written.add(name)
      return ref
    }

    if (withLoss) {
      const logitsGradient = gradientRef(graph.output)
      if (logitsGradient)
        emitter(segment, graph.output, "backward")(
          lossBackward,
          { logits: recall(graph.output), labels, logitsGradient },
          lossAttributes,
        )
    }
    for (const node of steps.toReversed()) {
      if (!wanted.has(node.name)) continue
      const accumulated = invariant.has(node.name) && usedInLoop.has(node.name)
      const outputGradient = accumulated
        ? accumulatorRef(node.name)
        : written.has(node.name)
          ? buffer(`${segment}/gradient/${node.name}`, "scratch", [])
          : undefined
      opOf(node).backward({
        ...context(node, scope, emitter(segment, node.name, "backward")),
        input: (i) => recall(node.inputs[i] as string),
        presynaptic: () => {
          const value = node.inputs[0] as string
          return traces.has(node.name) ? traceRef(value) : recall(value)
        },
        outputGradient,
        gradient: (i) => gradientRef(node.inputs[i] as string),
        carry: opOf(node).state !== undefined && separate ? carryRef(node) : undefined,
        resetGradient: request.resetGradient,
      })
    }
  }

  // --- the segments

  const labels = training ? buffer(bufferNames.labels, "input", [samples]) : undefined
  const begin = emitter("begin", graph.output, "forward")
  emitter("clear", graph.output, "forward")(zero, { target: metrics })
  begin(zero, { target: outputs })
  for (const node of repeated)
    if (opOf(node).state) emitter("begin", node.name, "forward")(zero, { target: { ...stateRef(node), lag: 1 } })
  for (const value of new Set(repeated.filter(({ name }) => traces.has(name)).map(({ inputs: [x = ""] }) => base(x))))
    begin(zero, { target: traceRef(value) })
  for (const node of hoisted) forward(node, "batch", "begin", "forward")
  if (!training || request.partial || stretch < window) forwardStep("forward", "forward")

  if (training && request.optimizer) {
    if (window === 1) {
      forwardStep("train", "train")
      backward(repeated, "train", "train", true)
    } else {
      forwardStep("keep", "keep")
      if (stretch < window) {
        for (const node of repeated.filter((node) => opOf(node).state)) {
          const before: Ref = { ...stateRef(node), lag: 1 }
          emitter("save", node.name, "forward")(copy, { source: before, target: checkpointRef(node) })
          emitter("restore", node.name, "forward")(copy, { source: checkpointRef(node), target: before })
        }
        forwardStep("keep", "replay")
      }
      backward(repeated, "keep", "backward", true)
      if (request.partial) backward(repeated, "keep", "backwardThrough", false)
      for (const node of repeated)
        if (opOf(node).state && wanted.has(node.name))
          emitter("beginBackward", node.name, "backward")(zero, { target: carryRef(node) })
    }
    backward(hoisted, "batch", "end", false)
    for (const { name } of weights)
      emitter("clear", name, "backward")(zero, { target: buffer(bufferNames.gradient(name), "gradient", []) })
    for (const { name } of hoisted)
      if (wanted.has(name) && usedInLoop.has(name))
        emitter("begin", name, "backward")(zero, { target: accumulatorRef(name) })

    const { kernel, state, attributes } = optimizers[request.optimizer.name]
    const hyperparameters = buffer(bufferNames.hyperparameters, "input", [3])
    for (const { name, shape } of weights)
      emitter("update", name, "update")(
        kernel,
        {
          parameter: parameterRef(name),
          gradient: buffer(bufferNames.gradient(name), "gradient", shape),
          hyperparameters,
          ...Object.fromEntries(
            state.map((part) => [part, buffer(bufferNames.optimizer(part, name), "optimizer", shape)]),
          ),
        },
        attributes(request.optimizer),
      )
  }

  return {
    mode,
    policy: request.policy,
    batchSize,
    microBatches,
    timeSteps,
    encoding: request.encoding,
    window,
    stretch,
    trainedSteps: request.trainedSteps,
    loss: request.loss,
    optimizer: request.optimizer,
    ...layOut(fuse(keepOverTime(buffers, segments, stretch, request.encoding), segments), segments),
    segments,
    neurons: spiking.map(({ name }) => name),
  }
}
