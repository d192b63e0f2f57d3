/** What the page and its worker say to each other. The page draws and asks; the worker holds the network and does all the work. */

/** What can be learned: moving shapes before a simulated event camera, or digits that the person draws. */
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
  /** A name from the table of backends. */
  readonly backend: string
}

export const greatestTimeSteps = 64
/** Width and height of what the network sees. */
export const side = 16

/** A digit that was drawn. */
export interface Drawing {
  /** [side, side], ink from 0 to 1. */
  readonly ink: Float32Array
  readonly digit: number
}

export type Request =
  /** Starts anew, with new weights. */
  | { readonly type: "train"; readonly settings: Settings; readonly drawings: ReadonlyArray<Drawing> }
  | { readonly type: "pause" }
  | { readonly type: "continue" }
  /** Asks for the memory that training takes, which needs no training. */
  | { readonly type: "plan"; readonly settings: Settings }
  /** Asks for the time that an iteration takes, under every policy. */
  | { readonly type: "measure" }
  /** Asks which backends there are, which wakes the GPU. */
  | { readonly type: "backends" }
  /** Asks what happens in the network that is trained: before test sample `sample`, or before a drawing. */
  | { readonly type: "look"; readonly sample: number; readonly ink?: Float32Array }

/** Memory that is planned for one policy. */
export interface Plan {
  readonly policy: PolicyName
  /** All of it. */
  readonly bytes: number
  /** Of it, what is kept of other time steps than the one at hand. */
  readonly kept: number
}

/** One sample on its way through the network. */
export interface Activity {
  readonly timeSteps: number
  /** [frames, side, side, channels]: a frame for each step, or one image. */
  readonly input: Float32Array
  readonly channels: number
  readonly layers: ReadonlyArray<{
    readonly name: string
    readonly neurons: number
    /** Those that are shown, of the ones that fire. */
    readonly shown: number
    /** [timeSteps, shown]: 1 where one fires. */
    readonly spikes: Float32Array
    /** Spikes per neuron and step of the whole layer. */
    readonly rate: number
  }>
  /** Membrane potentials before the reset, [timeSteps] each, of neurons of the last layer that fire at about half of the steps. */
  readonly membranes: ReadonlyArray<{ readonly neuron: number; readonly potential: Float32Array }>
  /** Probability of each class. */
  readonly probabilities: ReadonlyArray<number>
  /** The right class, where it is known. */
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
      /** Of the batch: the share that was classified rightly. */
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
      /** All memory for some numbers of time steps: [timeSteps, bytes]. */
      readonly curves: Readonly<Record<PolicyName, ReadonlyArray<readonly [number, number]>>>
    }
  | {
      readonly type: "measured"
      readonly timeSteps: number
      /** The time of an iteration, by policy. */
      readonly milliseconds: Readonly<Record<PolicyName, number>>
    }
  | { readonly type: "activity"; readonly activity: Activity }
  | { readonly type: "failed"; readonly message: string }
