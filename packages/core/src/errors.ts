/** Errors of the core: tagged for programs, one clear line for people. */
import { type Cause, Data } from "effect"
import { format, type Shape } from "./shape.ts"

/** The class that an error extends, its type written out: registries of sources read declarations off them without inferring. */
export type Tagged<Tag extends string, Fields> = new (
  fields: Fields,
) => Cause.YieldableError & { readonly _tag: Tag } & Readonly<Fields>

const GraphErrorBase: Tagged<
  "GraphError",
  {
    /** The node at fault, by name. */
    readonly node: string
    readonly reason: string
  }
> = Data.TaggedError("GraphError")

/** The graph cannot be built: shapes that do not fit, a name used twice, an attribute out of range. */
export class GraphError extends GraphErrorBase {
  override get message(): string {
    return `${this.node}: ${this.reason}`
  }
}

const PolicyErrorBase: Tagged<
  "PolicyError",
  {
    readonly policy: string
    readonly reason: string
  }
> = Data.TaggedError("PolicyError")

/** The policy cannot be used, alone or with this number of time steps. */
export class PolicyError extends PolicyErrorBase {
  override get message(): string {
    return `policy ${this.policy}: ${this.reason}`
  }
}

const ProgramErrorBase: Tagged<"ProgramError", { readonly reason: string }> = Data.TaggedError("ProgramError")

/** The program cannot be compiled, or a compiled one is not well formed. */
export class ProgramError extends ProgramErrorBase {
  override get message(): string {
    return this.reason
  }
}

const UnsupportedKernelErrorBase: Tagged<
  "UnsupportedKernelError",
  {
    readonly backend: string
    readonly kernels: ReadonlyArray<string>
  }
> = Data.TaggedError("UnsupportedKernelError")

/** The backend lacks a kernel that the program needs. */
export class UnsupportedKernelError extends UnsupportedKernelErrorBase {
  override get message(): string {
    return `backend ${this.backend} has no kernel ${this.kernels.join(", ")}; use backend reference, which has them all`
  }
}

const BackendUnavailableErrorBase: Tagged<
  "BackendUnavailableError",
  {
    readonly backend: string
    readonly reason: string
  }
> = Data.TaggedError("BackendUnavailableError")

/** The backend cannot run on this machine or in this runtime. */
export class BackendUnavailableError extends BackendUnavailableErrorBase {
  override get message(): string {
    return `backend ${this.backend} cannot run here: ${this.reason}`
  }
}

const BackendErrorBase: Tagged<
  "BackendError",
  {
    readonly backend: string
    readonly reason: string
  }
> = Data.TaggedError("BackendError")

/** A read, a write or a run failed inside a backend. */
export class BackendError extends BackendErrorBase {
  override get message(): string {
    return `backend ${this.backend}: ${this.reason}`
  }
}

const CheckpointErrorBase: Tagged<
  "CheckpointError",
  {
    /** The file, where there is one. */
    readonly file?: string
    readonly reason: string
  }
> = Data.TaggedError("CheckpointError")

/** A file of tensors cannot be read. */
export class CheckpointError extends CheckpointErrorBase {
  override get message(): string {
    return this.file === undefined ? this.reason : `${this.file}: ${this.reason}`
  }
}

const MismatchErrorBase: Tagged<
  "MismatchError",
  {
    /** The file, where there is one. */
    readonly file?: string
    readonly missing: ReadonlyArray<{ readonly name: string; readonly shape: Shape }>
    readonly unexpected: ReadonlyArray<{ readonly name: string; readonly shape: Shape }>
    readonly misshapen: ReadonlyArray<{ readonly name: string; readonly shape: Shape; readonly expected: Shape }>
  }
> = Data.TaggedError("MismatchError")

/** Tensors that do not belong to this network. Every one at fault is named, with its shape. */
export class MismatchError extends MismatchErrorBase {
  /** The same, said of a file. */
  in(file: string): MismatchError {
    const { missing, unexpected, misshapen } = this
    return new MismatchError({ file, missing, unexpected, misshapen })
  }

  override get message(): string {
    const list = (what: string, tensors: ReadonlyArray<string>) =>
      tensors.length > 0 ? [`${what} ${tensors.join(", ")}`] : []
    const named = ({ name, shape }: { readonly name: string; readonly shape: Shape }) => `${name} (${format(shape)})`
    const faults = [
      ...list("missing", this.missing.map(named)),
      ...list("unexpected", this.unexpected.map(named)),
      ...list(
        "misshapen",
        this.misshapen.map(({ name, shape, expected }) => `${name} (${format(shape)}, here ${format(expected)})`),
      ),
    ]
    return `${this.file === undefined ? "" : `${this.file}: `}the tensors do not fit this network: ${faults.join("; ")}`
  }
}

const NonFiniteLossErrorBase: Tagged<
  "NonFiniteLossError",
  {
    /** The batch, counted from 1 over all epochs. */
    readonly update: number
    /** The first layer of neurons, in order of execution, whose membrane is not finite; of weights, the first tensor. */
    readonly layer: string
  }
> = Data.TaggedError("NonFiniteLossError")

/** Training came to a loss, or to weights, that are not finite. */
export class NonFiniteLossError extends NonFiniteLossErrorBase {
  override get message(): string {
    return `the loss or a weight is not finite at update ${this.update}: the first such values lie in ${this.layer}; lower the learning rate`
  }
}
