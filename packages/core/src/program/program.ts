/**
 * A program: what a backend runs to train or to use a network, as plain data.
 *
 * Buffers have fixed places in one arena; segments are lists of instructions that know nothing of time; a schedule strings the
 * segments over the time steps of a batch:
 *
 *     BPTT     clear  begin  keep₁ keep₂ … keep_T  backward_T … backward₁  end  update
 *     SLTT     clear  begin  train₁ train₂ … train_T                       end  update
 *     SLTT-K   clear  begin  forward₁ train₂ forward₃ … train_T            end  update
 *
 * With checkpoints, here every two steps, all of BPTT's steps but those from the last checkpoint on run forward twice:
 *
 *     save₁ forward₁ forward₂  keep₃ keep₄  backward₄ backward₃  restore₁ replay₁ replay₂  backward₂ backward₁
 *
 * Where the loss is a function of the whole run, as of the read-out's mean over time, it is measured behind the last forward step; without
 * a window of all steps these run forward twice:
 *
 *     begin  preview₁ … preview_T  measure restart  train₁ … train_T  end  update
 *
 * Rate-based backpropagation goes back once, through the means over time:
 *
 *     clear  begin  forward₁ forward₂ … forward_T  rates  end  update
 *
 * A batch may be gone through in micro-batches, whose gradients are summed: all from `begin` to `end` runs for one after the other.
 */
import { aProgram, argument } from "../arguments.ts"
import type { KernelAttributes, KernelName } from "../kernels.ts"
import type { Objective } from "../losses/index.ts"
import type { Mode, Ref } from "../op.ts"
import type { Optimizer } from "../optimizers/optimizer.ts"
import type { Shape } from "../shape.ts"
import type { Elements } from "../spikes.ts"
import type { Group } from "./weights.ts"

/**
 * What a buffer is for. The gradients are those of parameters, one contiguous range of the arena; so are statistics and metrics,
 * which a backend may read together. A residual is kept from a forward step to its backward one; an accumulator gathers gradients over steps.
 */
export const bufferKinds = [
  "parameter",
  "gradient",
  "optimizer",
  "input",
  "statistic",
  "metric",
  "state",
  "accumulator",
  "residual",
  "scratch",
] as const

export type BufferKind = (typeof bufferKinds)[number]

/**
 * What a buffer holds. Of the whole program: the input, labels, targets, metrics, outputs and hyperparameters. Of a loss with terms: the
 * value of each, by number, the weights of its samples and the rows that follow from their classes; a value reduced over time (part: how)
 * and its gradient; the number of the step, the firing rate of a layer at a step. Of clipped gradients: their norm and (part) their factor. Of a parameter: itself, its gradient, the optimiser's
 * states of it, as planes. Of a value of the graph: itself, as it was stored or as the backward direction recomputes
 * it, its gradient, the sum of its gradients over time (accumulator), its presynaptic trace. Of a node: its residuals and random key, its
 * state, the states that are saved (checkpoint) and the gradient that travels back through them (carry). An operand is that of an
 * instruction without a graph.
 */
export type BufferRole =
  | "input"
  | "labels"
  | "targets"
  | "weights"
  | "term"
  | "rows"
  | "reduced"
  | "reducedGradient"
  | "time"
  | "rate"
  | "metrics"
  | "outputs"
  | "hyperparameters"
  | "norm"
  | "parameter"
  | "gradient"
  | "optimizer"
  | "value"
  | "recomputed"
  | "accumulator"
  | "trace"
  | "residual"
  | "key"
  | "state"
  | "checkpoint"
  | "carry"
  | "operand"

/** What a buffer holds, and of what: its name follows from it. */
export interface Holding {
  readonly role: BufferRole
  /** The parameter, value or node of the graph; absent for what the whole program has once. */
  readonly owner?: string
  /** Which of several that an owner has, as residuals. */
  readonly part?: string
  /** The segments that have it for themselves, or `batch` for a residual that is there all along. */
  readonly scope?: SegmentName | "batch"
}

export interface Buffer extends Holding {
  readonly name: string
  readonly kind: BufferKind
  /** With the batch axis where each sample has its own. */
  readonly shape: Shape
  readonly elements: Elements
  /** Time steps that are kept: step t lies in slot t mod `slots`, or with `every`, which is 1 at least, in ⌊t/every⌋ mod `slots`. */
  readonly slots: number
  readonly every?: number
  /** Where the first slot begins in the arena, and the distance to the next, in bytes. */
  readonly offset: number
  readonly stride: number
  /** First and last position on the program's time line at which it is alive. */
  readonly lifetime: readonly [from: number, to: number]
}

export interface Instruction {
  readonly kernel: string
  readonly operands: Readonly<Record<string, Ref>>
  readonly attributes: Readonly<Record<string, unknown>>
  /** The node of the graph that it belongs to. */
  readonly node: string
  readonly phase: "forward" | "backward" | "update"
}

/** Whether an instruction is one of a kernel, whose attributes it then has. */
export const isOf = <N extends KernelName>(
  instruction: Instruction | undefined,
  kernel: N,
): instruction is Instruction & { readonly kernel: N; readonly attributes: KernelAttributes[N] } =>
  instruction?.kernel === kernel

/**
 * Segments, in the order of the time line:
 *
 * - `clear`: once a batch: clears the gradients and the metrics.
 * - `begin`: once a micro-batch: clears what accumulates, runs what does not change over time.
 * - `forward`: a step that is not trained.
 * - `preview`: a forward step of a first run, for what the loss is a function of: nothing else moves.
 * - `restart`: once a micro-batch: puts the states to rest again, for the second run.
 * - `train`: forward and backward of one step, where no gradient crosses time.
 * - `keep`: a forward step that keeps its residuals.
 * - `save`: keeps the state that a step starts from.
 * - `restore`: puts back the state that a step starts from.
 * - `replay`: runs a forward step again, for its residuals: metrics and running statistics do not move.
 * - `measure`: once a micro-batch: the terms of the loss that are functions of the whole run, and their gradients.
 * - `beginBackward`: clears the gradients that travel back through time.
 * - `backwardThrough`: backward through a step without a loss of its own.
 * - `backward`: backward of a trained step.
 * - `rates`: once a micro-batch: forward and backward at the means over time.
 * - `end`: once a micro-batch: backward of what does not change over time.
 * - `update`: the optimiser.
 */
export const segmentNames = [
  "clear",
  "begin",
  "forward",
  "preview",
  "restart",
  "train",
  "keep",
  "save",
  "restore",
  "replay",
  "measure",
  "beginBackward",
  "backwardThrough",
  "backward",
  "rates",
  "end",
  "update",
] as const

export type SegmentName = (typeof segmentNames)[number]

/** When a segment runs, and in which direction it takes a time step, if it takes one. */
export interface SegmentKind {
  readonly runs: "batch" | "microBatch" | "step"
  readonly direction?: "forward" | "backward" | "both"
}

export const segmentKinds: Readonly<Record<SegmentName, SegmentKind>> = {
  clear: { runs: "batch" },
  begin: { runs: "microBatch" },
  forward: { runs: "step", direction: "forward" },
  preview: { runs: "step", direction: "forward" },
  restart: { runs: "microBatch" },
  train: { runs: "step", direction: "both" },
  keep: { runs: "step", direction: "forward" },
  save: { runs: "step" },
  restore: { runs: "step" },
  replay: { runs: "step", direction: "forward" },
  measure: { runs: "microBatch" },
  beginBackward: { runs: "step" },
  backwardThrough: { runs: "step", direction: "backward" },
  backward: { runs: "step", direction: "backward" },
  rates: { runs: "microBatch" },
  end: { runs: "microBatch" },
  update: { runs: "batch" },
}

/** Segments that take a step forward, and so begin with the input of their time step. */
export const forwardSegments: ReadonlySet<SegmentName> = new Set(
  segmentNames.filter((name) => ["forward", "both"].includes(segmentKinds[name].direction ?? "")),
)

/** How the data come: one image for all steps, or a frame for each. */
export type Encoding = "static" | "frames"

export interface Program {
  readonly mode: Mode
  readonly policy: string
  readonly batchSize: number
  /** Into how many equal parts a batch is cut that go through the network one after the other. */
  readonly microBatches: number
  readonly timeSteps: number
  readonly encoding: Encoding
  /** Steps that gradient can cross; 1 where none crosses time. */
  readonly window: number
  /** Steps whose residuals are stored at a time: those of a window, or from one checkpoint to the next. */
  readonly checkpointInterval: number
  /** How many of the time steps are trained; 0 in inference. */
  readonly trainedSteps: number
  /** The nodes of the read-outs by name, the first of them first. */
  readonly outputs?: Readonly<Record<string, string>>
  /** The buffers of nodes and states that predictions give of every step, by name. */
  readonly recorded?: Readonly<Record<string, string>>
  readonly loss: Objective | undefined
  /** How often a batch's steps run forward for a loss that is a function of the whole run; absent where it is none. */
  readonly forwardRuns?: 1 | 2
  readonly optimizer: Optimizer | undefined
  /** Optimisers and factors of the learning rate by group of weights; the first is that of weights without a group. */
  readonly groups?: ReadonlyArray<Group>
  readonly buffers: ReadonlyArray<Buffer>
  readonly segments: Readonly<Record<SegmentName, ReadonlyArray<Instruction>>>
  /** Layers of spiking neurons in order of execution: metrics[1 + i] is the firing rate of the i-th. */
  readonly neurons: ReadonlyArray<string>
  /** Bytes of the arena: all the memory that the program needs. */
  readonly arenaBytes: number
}

/** One run of a segment, at time step `t`. */
export interface Call {
  readonly segment: SegmentName
  readonly t: number
}

/** The name of the buffer that holds something. */
export const nameOf = ({ role, owner, part, scope }: Holding): string => {
  const place = scope === undefined ? role : role === "value" || role === "residual" ? scope : `${scope}/${role}`
  if (owner === undefined) return place
  if (part === undefined) return `${place}/${owner}`
  return role === "residual" ? `${place}/${owner}.${part}` : `${place}/${part}/${owner}`
}

/** Names of the buffers that the outside writes and reads; N is the size of a micro-batch. */
export const bufferNames = {
  /** The data: [N, …], or with `frames` the frame of one step. */
  input: "input",
  /** [N], class numbers as float32; of terms over steps, a slot for each. Of a read-out or node by name, unless it is the first. */
  labels: "labels",
  /** [N, outputs]: real numbers, for the terms of the loss that take them; as `labels`. */
  targets: "targets",
  /** [N]: the share of each sample in the i-th term of the loss. */
  weights: (i: number): string => nameOf({ role: "weights", owner: `${i}` }),
  /** [N, outputs]: numbers of the i-th term that follow from classes. */
  rows: (i: number): string => nameOf({ role: "rows", owner: `${i}` }),
  /** [1]: the value of the i-th term of the loss. */
  term: (i: number): string => nameOf({ role: "term", owner: `${i}` }),
  /** [1 + layers of neurons]: the loss and the firing rates of the last batch. */
  metrics: "metrics",
  /** [N, classes]: the first read-out, summed over time or of each step. */
  outputs: "outputs",
  /** The same of another read-out, by its name. */
  output: (name: string): string => nameOf({ role: "outputs", owner: name }),
  /** The learning rate and what else changes from update to update: the optimiser's `numbers`. Of groups of weights see `hyperparametersOf`. */
  hyperparameters: "hyperparameters",
  parameter: (name: string): string => nameOf({ role: "parameter", owner: name }),
  gradient: (name: string): string => nameOf({ role: "gradient", owner: name }),
  /** The optimiser's states of a parameter, as planes. */
  optimizer: (name: string): string => nameOf({ role: "optimizer", owner: name }),
  /** The random key of a node, two words; a new one for each micro-batch. */
  key: (node: string): string => nameOf({ role: "key", owner: node }),
  /** The output of an observed node. */
  value: (node: string): string => nameOf({ role: "value", owner: node }),
  /** The membrane potential before the reset. */
  state: (node: string): string => nameOf({ role: "state", owner: node }),
} as const

const parameterPrefix = bufferNames.parameter("")

/** The parameter whose buffer has this name, as tensors of checkpoints and program files have; undefined for any other name. */
export const parameterOf = (name: string): string | undefined =>
  name.startsWith(parameterPrefix) ? name.slice(parameterPrefix.length) : undefined

/** Bytes of all slots of a buffer. */
export const bufferBytes = (buffer: Buffer): number => buffer.slots * buffer.stride

/** Bytes of the arena. */
export interface ByteRange {
  readonly offset: number
  readonly bytes: number
}

/**
 * Where the gradients of all weights lie, and nothing else: to sum them over several machines, say. They are complete behind the last
 * `end` of a batch; what is written there before `update` is what the optimiser takes. Empty if the program trains nothing.
 *
 * @example
 * const program = yield* Program.compile(graph, Policy.sltt, options)
 * const { offset, bytes } = Program.gradientRange(program)
 */
export const gradientRange = (program: Pick<Program, "buffers">): ByteRange => {
  const gradients = argument(program, aProgram).buffers.filter(({ kind }) => kind === "gradient")
  const offset = gradients.reduce((least, buffer) => Math.min(least, buffer.offset), Number.POSITIVE_INFINITY)
  const end = gradients.reduce((most, buffer) => Math.max(most, buffer.offset + bufferBytes(buffer)), 0)
  return gradients.length === 0 ? { offset: 0, bytes: 0 } : { offset, bytes: end - offset }
}

/** The slot of a buffer that a reference points at, at time step `t`. */
export const slotOf = ({ slots, every = 1 }: Buffer, { lag }: Pick<Ref, "lag">, t: number): number =>
  (Math.floor((t - (lag ?? 0)) / every) + slots) % slots

/** Samples that go through the network at once. */
export const microBatchSize = ({ batchSize, microBatches }: Pick<Program, "batchSize" | "microBatches">): number =>
  batchSize / microBatches
