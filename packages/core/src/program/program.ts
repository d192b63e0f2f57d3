/**
 * A program: what a backend runs to train or use a network, as plain data.
 *
 * Buffers have fixed places in one arena. Segments are lists of instructions that know nothing about time. A schedule runs segments
 * over the time steps of a batch:
 *
 *     BPTT     clear  begin  keep₁ keep₂ … keep_T  backward_T … backward₁  end  update
 *     SLTT     clear  begin  train₁ train₂ … train_T                       end  update
 *     SLTT-K   clear  begin  forward₁ train₂ forward₃ … train_T            end  update
 *
 * With checkpoints (here every two steps), all BPTT steps before the last checkpoint run forward twice:
 *
 *     save₁ forward₁ forward₂  keep₃ keep₄  backward₄ backward₃  restore₁ replay₁ replay₂  backward₂ backward₁
 *
 * A loss that is a function of the whole run, such as of the read-out's mean over time, is measured after the last forward step.
 * Unless one window covers all steps, they then run forward twice:
 *
 *     begin  preview₁ … preview_T  measure restart  train₁ … train_T  end  update
 *
 * Rate-based backpropagation runs backward once, through means over time:
 *
 *     clear  begin  forward₁ forward₂ … forward_T  rates  end  update
 *
 * A batch may be split into micro-batches, whose gradients are summed: the part from `begin` to `end` runs once for each.
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
 * Kinds of buffers. The gradients of parameters occupy one contiguous range of the arena; so do statistics and metrics, which a
 * backend may read together. A residual is stored by a forward step for its backward step; an accumulator sums gradients over
 * steps.
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

/** The kind of a buffer. */
export type BufferKind = (typeof bufferKinds)[number]

/**
 * What a buffer holds.
 *
 * - For the whole program: the input, labels, targets, metrics, outputs and hyperparameters.
 * - For a loss with terms: the value of each term, by index; the weights of its samples; the rows derived from their classes; a
 *   value reduced over time (part: the reduction) and its gradient; the number of the step; the firing rate of a layer at a step.
 * - For clipped gradients: their norm and (part) their factor.
 * - For a parameter: itself, its gradient, and the optimiser's states as planes.
 * - For a value of the graph: itself, as stored or as recomputed in the backward direction; its gradient; the sum of its gradients
 *   over time (accumulator); its presynaptic trace.
 * - For a node: its residuals, random key and state, the saved states (checkpoint), and the gradient carried back through them
 *   (carry).
 * - `operand`: an operand of an instruction without a graph.
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

/** The contents of a buffer, from which its name is derived. */
export interface Holding {
  readonly role: BufferRole
  /** The parameter, value or node of the graph; absent for buffers that the program has once. */
  readonly owner?: string
  /** Distinguishes several buffers of one owner, such as residuals. */
  readonly part?: string
  /** The only segment that uses the buffer, or `batch` for a residual that lives as long as a batch. */
  readonly scope?: SegmentName | "batch"
}

/** A tensor in the arena. */
export interface Buffer extends Holding {
  readonly name: string
  readonly kind: BufferKind
  /** Includes the batch axis if every sample has its own value. */
  readonly shape: Shape
  readonly elements: Elements
  /** Number of time steps stored: step t is in slot t mod `slots`; with `every` (at least 1), in slot ⌊t/every⌋ mod `slots`. */
  readonly slots: number
  readonly every?: number
  /** Offset of the first slot in the arena, and distance between slots, in bytes. */
  readonly offset: number
  readonly stride: number
  /** First and last position in the program's time line at which the buffer is alive. */
  readonly lifetime: readonly [from: number, to: number]
}

/** One call of a kernel. */
export interface Instruction {
  /** Name of the kernel. */
  readonly kernel: string
  /** Operands by name; absent optional operands are left out. */
  readonly operands: Readonly<Record<string, Ref>>
  readonly attributes: Readonly<Record<string, unknown>>
  /** Name of the graph's node that it belongs to. */
  readonly node: string
  /** The phase that its cost counts for. */
  readonly phase: "forward" | "backward" | "update"
}

/** Whether an instruction is a call of the kernel; narrows the type of its attributes. */
export const isOf = <N extends KernelName>(
  instruction: Instruction | undefined,
  kernel: N,
): instruction is Instruction & { readonly kernel: N; readonly attributes: KernelAttributes[N] } =>
  instruction?.kernel === kernel

/**
 * The segments, in order of the time line:
 *
 * - `clear`: once per batch: clears gradients and metrics.
 * - `begin`: once per micro-batch: clears accumulators and computes time-invariant values.
 * - `forward`: a step that is not trained.
 * - `preview`: a forward step of a first run that only computes what the loss is a function of.
 * - `restart`: once per micro-batch: resets the states for the second run.
 * - `train`: forward and backward of one step, if no gradient crosses time steps.
 * - `keep`: a forward step that stores its residuals.
 * - `save`: saves the state before a step.
 * - `restore`: restores the state before a step.
 * - `replay`: recomputes a forward step for its residuals; metrics and running statistics are not updated.
 * - `measure`: once per micro-batch: terms of the loss that are functions of the whole run, and their gradients.
 * - `beginBackward`: clears the gradients that are carried back through time.
 * - `backwardThrough`: backward through a step without a loss of its own.
 * - `backward`: backward of a trained step.
 * - `rates`: once per micro-batch: forward and backward at the means over time.
 * - `end`: once per micro-batch: backward of time-invariant values.
 * - `update`: once per batch: the optimiser.
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

/** The name of a segment. */
export type SegmentName = (typeof segmentNames)[number]

/** How often a segment runs, and its direction if it runs a time step. */
export interface SegmentKind {
  readonly runs: "batch" | "microBatch" | "step"
  readonly direction?: "forward" | "backward" | "both"
}

/** The kinds of all segments. */
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

/** Segments that run a step forward, and therefore start with the input of their time step. */
export const forwardSegments: ReadonlySet<SegmentName> = new Set(
  segmentNames.filter((name) => ["forward", "both"].includes(segmentKinds[name].direction ?? "")),
)

/** How samples are given: one input for all steps, or one frame per step. */
export type Encoding = "static" | "frames"

/** A compiled program. */
export interface Program {
  readonly mode: Mode
  /** Name of the policy. */
  readonly policy: string
  readonly batchSize: number
  /** Number of equal parts of a batch that run one after the other. */
  readonly microBatches: number
  readonly timeSteps: number
  readonly encoding: Encoding
  /** Number of steps within which gradient flows; 1 if none crosses time steps. */
  readonly window: number
  /** Number of steps whose residuals are stored at a time: those of a window, or those between two checkpoints. */
  readonly checkpointInterval: number
  /** Number of trained time steps; 0 in inference. */
  readonly trainedSteps: number
  /** The nodes of the read-outs by name, in order. */
  readonly outputs?: Readonly<Record<string, string>>
  /** The buffers of the nodes and states that predictions return for every step, by name. */
  readonly recorded?: Readonly<Record<string, string>>
  readonly loss: Objective | undefined
  /** How often a batch's steps run forward, for a loss that is a function of the whole run; absent for other losses. */
  readonly forwardRuns?: 1 | 2
  readonly optimizer: Optimizer | undefined
  /** Optimisers and learning-rate factors of groups of weights; the first is for weights without a group. */
  readonly groups?: ReadonlyArray<Group>
  readonly buffers: ReadonlyArray<Buffer>
  /** The instructions of each segment, in order. */
  readonly segments: Readonly<Record<SegmentName, ReadonlyArray<Instruction>>>
  /** Names of the layers of spiking neurons, in order of execution: metrics[1 + i] is the firing rate of layer i. */
  readonly neurons: ReadonlyArray<string>
  /** Size of the arena in bytes: all memory that the program needs. */
  readonly arenaBytes: number
}

/** One execution of a segment, at time step `t`. */
export interface Call {
  readonly segment: SegmentName
  readonly t: number
}

/** The name of a buffer, from its contents. */
export const nameOf = ({ role, owner, part, scope }: Holding): string => {
  const place = scope === undefined ? role : role === "value" || role === "residual" ? scope : `${scope}/${role}`
  if (owner === undefined) return place
  if (part === undefined) return `${place}/${owner}`
  return role === "residual" ? `${place}/${owner}.${part}` : `${place}/${part}/${owner}`
}

/** Names of the buffers that callers write and read. N is the size of a micro-batch. */
export const bufferNames = {
  /** The input: [N, …]; with `frames`, the frame of one step. */
  input: "input",
  /**
   * [N], class indices as float32; for terms over steps, one slot per step. For other read-outs or nodes than the first, the name
   * has theirs appended.
   */
  labels: "labels",
  /** [N, outputs]: numbers, for terms of the loss that require them; named like `labels`. */
  targets: "targets",
  /** [N]: the weight of each sample in the i-th term of the loss. */
  weights: (i: number): string => nameOf({ role: "weights", owner: `${i}` }),
  /** [N, outputs]: numbers for the i-th term of the loss that depend on the samples' classes. */
  rows: (i: number): string => nameOf({ role: "rows", owner: `${i}` }),
  /** [1]: the value of the i-th term of the loss. */
  term: (i: number): string => nameOf({ role: "term", owner: `${i}` }),
  /** [1 + layers of neurons]: the loss, then the firing rates of the last batch. */
  metrics: "metrics",
  /** [N, classes]: the first read-out, summed over time or per step. */
  outputs: "outputs",
  /** The same for another read-out, by name. */
  output: (name: string): string => nameOf({ role: "outputs", owner: name }),
  /**
   * The optimiser's `numbers`: the learning rate and others that change between updates. For groups of weights, see
   * `hyperparametersOf`.
   */
  hyperparameters: "hyperparameters",
  parameter: (name: string): string => nameOf({ role: "parameter", owner: name }),
  gradient: (name: string): string => nameOf({ role: "gradient", owner: name }),
  /** The optimiser's states of a parameter, as planes. */
  optimizer: (name: string): string => nameOf({ role: "optimizer", owner: name }),
  /** The random key of a node, two words, new for each micro-batch. */
  key: (node: string): string => nameOf({ role: "key", owner: node }),
  /** The output of an observed node. */
  value: (node: string): string => nameOf({ role: "value", owner: node }),
  /** The stored state of a node; for LIF neurons, the membrane potential before the reset. */
  state: (node: string): string => nameOf({ role: "state", owner: node }),
} as const

/** Size of all slots of a buffer, in bytes. */
export const bufferBytes = (buffer: Buffer): number => buffer.slots * buffer.stride

/** A range of the arena, in bytes. */
export interface ByteRange {
  readonly offset: number
  readonly bytes: number
}

/**
 * The range of the arena that holds the gradients of all weights and nothing else, for example to sum them over several machines.
 * They are complete after the last `end` of a batch; the optimiser uses what is there when `update` runs. Empty if the program
 * trains nothing.
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

/** The slot that a reference to a buffer points at, at time step `t`. */
export const slotOf = ({ slots, every = 1 }: Buffer, { lag }: Pick<Ref, "lag">, t: number): number =>
  (Math.floor((t - (lag ?? 0)) / every) + slots) % slots

/** Number of samples that run at once. */
export const microBatchSize = ({ batchSize, microBatches }: Pick<Program, "batchSize" | "microBatches">): number =>
  batchSize / microBatches
