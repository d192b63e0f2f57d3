/** Errors of the core: each has a tag and fields for programs, and a one-line message for people. */
import { Data } from "effect"
import { format, type Shape } from "./shape.ts"
import { line, named } from "./text.ts"

export { describeFault, OptionError } from "./arguments.ts"

/** The graph cannot be built: incompatible shapes, a duplicate name, an attribute out of range. */
export class GraphError extends Data.Error<{
  /** Name of the node at fault. */
  readonly node: string
  readonly reason: string
}> {
  readonly _tag = "GraphError"
  override readonly name = "GraphError"

  override get message(): string {
    return line(`${named(this.node)}: ${this.reason}`)
  }
}

/** The policy is invalid, or cannot be used with this number of time steps. */
export class PolicyError extends Data.Error<{
  readonly policy: string
  readonly reason: string
}> {
  readonly _tag = "PolicyError"
  override readonly name = "PolicyError"

  override get message(): string {
    return line(`policy ${named(this.policy)}: ${this.reason}`)
  }
}

/** The program cannot be compiled, or a compiled program is malformed. */
export class ProgramError extends Data.Error<{ readonly reason: string }> {
  readonly _tag = "ProgramError"
  override readonly name = "ProgramError"

  override get message(): string {
    return line(this.reason)
  }
}

/** The backend lacks a kernel that the program needs. */
export class UnsupportedKernelError extends Data.Error<{
  readonly backend: string
  readonly kernels: ReadonlyArray<string>
}> {
  readonly _tag = "UnsupportedKernelError"
  override readonly name = "UnsupportedKernelError"

  override get message(): string {
    return line(
      `backend ${this.backend} has no kernel ${listed(this.kernels.map(named))}; use backend reference, which has them all`,
    )
  }
}

/** The backend cannot run on this machine or in this runtime. */
export class BackendUnavailableError extends Data.Error<{
  readonly backend: string
  readonly reason: string
}> {
  readonly _tag = "BackendUnavailableError"
  override readonly name = "BackendUnavailableError"

  override get message(): string {
    return line(`backend ${this.backend} cannot run here: ${this.reason}`)
  }
}

/** A program cannot be prepared, or a read, a write or a run failed inside a backend. */
export class BackendError extends Data.Error<{
  readonly backend: string
  readonly reason: string
  /**
   * If memory does not suffice: the bytes that the program needs, without kernel workspace, and the bytes available to the backend.
   */
  readonly memory?: { readonly needed: number; readonly available: number }
}> {
  readonly _tag = "BackendError"
  override readonly name = "BackendError"

  override get message(): string {
    return line(`backend ${this.backend}: ${this.reason}`)
  }
}

/** A file of tensors cannot be read. */
export class CheckpointError extends Data.Error<{
  /** Name of the file, if there is one. */
  readonly file?: string
  readonly reason: string
}> {
  readonly _tag = "CheckpointError"
  override readonly name = "CheckpointError"

  override get message(): string {
    return line(this.file === undefined ? this.reason : `${this.file}: ${this.reason}`)
  }
}

/** The first texts, and the number of further ones. */
const listed = (texts: ReadonlyArray<string>, most = 8): string =>
  texts.length <= most ? texts.join(", ") : `${texts.slice(0, most).join(", ")} and ${texts.length - most} more`

/** The given tensors do not match the network. The fields list all tensors at fault; the message names the first ones. */
export class MismatchError extends Data.Error<{
  /** Name of the file, if there is one. */
  readonly file?: string
  readonly missing: ReadonlyArray<{ readonly name: string; readonly shape: Shape }>
  readonly unexpected: ReadonlyArray<{ readonly name: string; readonly shape: Shape }>
  readonly misshapen: ReadonlyArray<{ readonly name: string; readonly shape: Shape; readonly expected: Shape }>
  /** Tensors of an unsupported number type, such as `U8`. */
  readonly unsupported: ReadonlyArray<{ readonly name: string; readonly dtype: string }>
}> {
  readonly _tag = "MismatchError"
  override readonly name = "MismatchError"

  override get message(): string {
    const list = (what: string, tensors: ReadonlyArray<string>) =>
      tensors.length > 0 ? [`${what} ${listed(tensors)}`] : []
    const shaped = ({ name, shape }: { readonly name: string; readonly shape: Shape }) =>
      `${named(name)} (${format(shape)})`
    const faults = [
      ...list("missing", this.missing.map(shaped)),
      ...list("unexpected", this.unexpected.map(shaped)),
      ...list(
        "misshapen",
        this.misshapen.map(
          ({ name, shape, expected }) => `${named(name)} (${format(shape)}, here ${format(expected)})`,
        ),
      ),
      ...list(
        "to be converted to F32",
        this.unsupported.map(({ name, dtype }) => `${named(name)} (${named(dtype)})`),
      ),
    ]
    const file = this.file === undefined ? "" : `${this.file}: `
    return line(`${file}the tensors do not fit this network: ${faults.join("; ")}`)
  }

  /** The same error, with a file name. */
  in(file: string): MismatchError {
    const { missing, unexpected, misshapen, unsupported } = this
    return new MismatchError({ file, missing, unexpected, misshapen, unsupported })
  }
}

/** A tensor of weights, statistics or optimiser state holds NaN or infinity. */
export class NonFiniteTensorError extends Data.Error<{
  readonly tensor: string
  /** The first non-finite value, and its index in memory order. */
  readonly value: number
  readonly index: number
}> {
  readonly _tag = "NonFiniteTensorError"
  override readonly name = "NonFiniteTensorError"

  override get message(): string {
    return `tensor ${named(this.tensor)} is not finite: value ${this.index} is ${this.value}; use tensors from before the training diverged, and a lower learning rate`
  }
}

/** Input data do not match the network, or are not finite. Nothing has been run. */
export class InputError extends Data.Error<{
  /** Which data: `inputs`, `labels`, `next.inputs`. */
  readonly what: string
  readonly reason: string
  /** For a faulty value: the index of the sample, and the position within it. If the input has frames, the time step comes first. */
  readonly sample?: number
  readonly position?: ReadonlyArray<number>
}> {
  readonly _tag = "InputError"
  override readonly name = "InputError"

  override get message(): string {
    const { what, reason, sample, position } = this
    return `${what}: ${sample === undefined ? "" : `sample ${sample} at [${position?.join(", ")}]: `}${reason}`
  }
}
