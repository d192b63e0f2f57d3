/**
 * What can go wrong with data: one tagged error for each kind, with the fields that a program needs and a message of
 * one line that says what, where and what to do. Paths and texts of files stand in it with control characters escaped.
 */
import { OptionError } from "@spikeroute/core/options"
import { line, quote } from "@spikeroute/core/text"
import { Data, type PlatformError } from "effect"

export { OptionError }

/** There is no data set of this name. */
export class UnknownDataset extends Data.Error<{
  readonly dataset: string
  /** The known name that looks most like it, if one does. */
  readonly nearest: string | undefined
  readonly known: ReadonlyArray<string>
}> {
  readonly _tag = "UnknownDataset"
  override readonly name = "UnknownDataset"

  override get message(): string {
    const hint = this.nearest === undefined ? "" : ` (did you mean "${this.nearest}"?)`
    return `no data set is called ${quote(this.dataset)}${hint}; there are ${this.known.join(", ")}`
  }
}

/** A file of a data set is not there, and is not to be downloaded or cannot be. */
export class MissingFile extends Data.Error<{
  readonly dataset: string
  /** The names that would have done, the usual one first. */
  readonly wanted: ReadonlyArray<string>
  /** The directories that were searched. */
  readonly searched: ReadonlyArray<string>
  readonly advice: string
}> {
  readonly _tag = "MissingFile"
  override readonly name = "MissingFile"

  override get message(): string {
    const searched = this.searched.join(" or ")
    return line(`${this.dataset}: found no ${this.wanted.join(" or ")} in ${searched}: ${this.advice}`)
  }
}

/**
 * A file does not hold what its format says; `offset` counts bytes from 0, `textLine` lines from 1 (errors of some
 * engines have a `line` of their own).
 */
export class MalformedFile extends Data.Error<{
  readonly file: string
  readonly offset?: number
  readonly textLine?: number
  readonly problem: string
}> {
  readonly _tag = "MalformedFile"
  override readonly name = "MalformedFile"

  /** For `Effect.mapError`: names the file that another reader refused. */
  static at(file: string): (error: { readonly reason: string }) => MalformedFile {
    return ({ reason }) => new MalformedFile({ file, problem: reason })
  }

  override get message(): string {
    const where =
      this.textLine !== undefined ? `, line ${this.textLine}` : this.offset !== undefined ? `, byte ${this.offset}` : ""
    return line(`${this.file}${where}: ${this.problem}`)
  }
}

/** "permission denied": what the system says went wrong, without its code and the path, which the message has anyway. */
const reasonOf = ({ reason }: PlatformError.PlatformError): string => {
  const system = /^E[A-Z]+: ([^,]+)/.exec(reason.cause instanceof Error ? reason.cause.message : "")?.[1]
  return system ?? reason._tag.replaceAll(/(?<=.)[A-Z]/g, (letter) => ` ${letter}`).toLowerCase()
}

/** The file system refused. */
export class FileFailed extends Data.Error<{
  readonly file: string
  readonly problem: string
}> {
  readonly _tag = "FileFailed"
  override readonly name = "FileFailed"

  /** For `Effect.mapError`: names the file that was at stake. */
  static at(file: string): (error: PlatformError.PlatformError) => FileFailed {
    return (error) => new FileFailed({ file, problem: reasonOf(error) })
  }

  override get message(): string {
    return line(`${this.file}: ${this.problem}`)
  }
}

/** A download did not come through; what has arrived is kept, and the next attempt goes on from there. */
export class DownloadFailed extends Data.Error<{
  readonly url: string
  readonly file: string
  readonly problem: string
}> {
  readonly _tag = "DownloadFailed"
  override readonly name = "DownloadFailed"

  override get message(): string {
    return line(`${this.url}: ${this.problem}`)
  }
}

/** A downloaded file is not the one that was wanted; it has been removed. */
export class ChecksumMismatch extends Data.Error<{
  readonly url: string
  readonly file: string
  readonly algorithm: "md5" | "sha256"
  readonly expected: string
  readonly actual: string
}> {
  readonly _tag = "ChecksumMismatch"
  override readonly name = "ChecksumMismatch"

  override get message(): string {
    const { url, algorithm, expected, actual, file } = this
    return line(`${url}: ${algorithm} should be ${expected}, is ${actual}; nothing was kept as ${file}`)
  }
}

/** A worker that makes samples ended, or met what it should not. */
export class WorkerFailed extends Data.Error<{
  readonly problem: string
}> {
  readonly _tag = "WorkerFailed"
  override readonly name = "WorkerFailed"

  override get message(): string {
    return line(`a worker that reads samples failed: ${this.problem}; workers: 0 does without`)
  }
}

/** Everything that opening a data set or reading from it can fail with. */
export type DatasetError =
  | UnknownDataset
  | OptionError
  | MissingFile
  | MalformedFile
  | FileFailed
  | DownloadFailed
  | ChecksumMismatch
  | WorkerFailed
