/** The messages between the page and its worker. The page draws and asks; the worker holds the network and does all the work. */

/** Tasks: moving shapes in front of a simulated event camera, or digits drawn by the user. */
export const taskNames = ["camera", "digits"] as const
export type TaskName = (typeof taskNames)[number]

export const policyNames = ["bptt", "sltt", "slttk"] as const
export type PolicyName = (typeof policyNames)[number]

export interface Settings {
  readonly task: TaskName
  readonly policy: PolicyName
  /** Trained steps of SLTT-K, at most `timeSteps`. */
  readonly k: number
  readonly timeSteps: number
  /** A key of the table of backends. */
  readonly backend: string
}

export const greatestTimeSteps = 64
/** Width and height of the network's input. */
export const side = 16

/** A digit drawn by the user. */
export interface Drawing {
  /** [side, side], ink from 0 to 1. */
  readonly ink: Float32Array
  readonly digit: number
}

export type Request =
  /** Starts training with new weights. */
  | { readonly type: "train"; readonly settings: Settings; readonly drawings: ReadonlyArray<Drawing> }
  | { readonly type: "pause" }
  | { readonly type: "continue" }
  /** Asks for the planned memory, without training. */
  | { readonly type: "plan"; readonly settings: Settings }
  /** Asks for the time of an iteration under every policy. */
  | { readonly type: "measure" }
  /** Asks for the available backends, which wakes the GPU. */
  | { readonly type: "backends" }
  /** Asks for the activity of the trained network for test sample `sample`, or for a drawing. */
  | { readonly type: "look"; readonly sample: number; readonly ink?: Float32Array }

/** Planned memory under one policy. */
export interface Plan {
  readonly policy: PolicyName
  /** Total bytes. */
  readonly bytes: number
  /** Bytes that store values of other time steps. */
  readonly kept: number
}

/** The activity of the network for one sample. */
export interface Activity {
  readonly timeSteps: number
  /** [frames, side, side, channels]: one frame per step, or a single image. */
  readonly input: Float32Array
  readonly channels: number
  readonly layers: ReadonlyArray<{
    readonly name: string
    readonly neurons: number
    /** Number of neurons shown, chosen from those that fire. */
    readonly shown: number
    /** [timeSteps, shown]: 1 for a spike. */
    readonly spikes: Float32Array
    /** Spikes per neuron and step over the whole layer. */
    readonly rate: number
  }>
  /** Membrane potentials before the reset, [timeSteps] each, of neurons of the last layer that fire at about half of the steps. */
  readonly membranes: ReadonlyArray<{ readonly neuron: number; readonly potential: Float32Array }>
  /** Probability of each class. */
  readonly probabilities: ReadonlyArray<number>
  /** The correct class, if known. */
  readonly label: number | undefined
}

export type Answer =
  | {
      readonly type: "backends"
      readonly backends: ReadonlyArray<{
        readonly name: string
        readonly label: string
        readonly available: boolean
        readonly note: string
      }>
    }
  | {
      readonly type: "started"
      readonly classes: ReadonlyArray<string>
      readonly backend: string
      readonly parameters: number
      readonly testSamples: number
    }
  | {
      readonly type: "trained"
      readonly update: number
      readonly loss: number
      /** Share of the batch that was classified correctly. */
      readonly accuracy: number
      readonly milliseconds: number
    }
  | { readonly type: "tested"; readonly update: number; readonly accuracy: number }
  | { readonly type: "paused" }
  | {
      readonly type: "plan"
      readonly task: TaskName
      readonly timeSteps: number
      readonly plans: ReadonlyArray<Plan>
      /** Total memory for several numbers of time steps: [timeSteps, bytes]. */
      readonly curves: Readonly<Record<PolicyName, ReadonlyArray<readonly [number, number]>>>
    }
  | {
      readonly type: "measured"
      readonly timeSteps: number
      /** Milliseconds of an iteration, by policy. */
      readonly milliseconds: Readonly<Record<PolicyName, number>>
    }
  | { readonly type: "activity"; readonly activity: Activity }
  | { readonly type: "failed"; readonly message: string }
