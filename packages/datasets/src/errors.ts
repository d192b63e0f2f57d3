/**
 * Errors of data sets: one tagged class per kind, with typed fields for programs and a one-line message that says what
 * happened, where, and what to do. Control characters in paths and file contents are escaped in messages.
 */
import { OptionError } from "@spikeroute/core/options"
import { line, quote } from "@spikeroute/core/text"
import { Data, type PlatformError } from "effect"

export { OptionError }

/** There is no data set of this name. */
export class UnknownDataset extends Data.Error<{
  readonly dataset: string
  /** The most similar known name, if any. */
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

/** A file of a data set is missing, and it is not downloadable or downloads are disabled. */
export class MissingFile extends Data.Error<{
  readonly dataset: string
  /** The accepted names, the usual one first. */
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
 * A file violates its format. `offset` counts bytes from 0, `textLine` counts lines from 1 (it is not called `line`, because
 * errors in some engines already have that property).
 */
export class MalformedFile extends Data.Error<{
  readonly file: string
  readonly offset?: number
  readonly textLine?: number
  readonly problem: string
}> {
  readonly _tag = "MalformedFile"
  override readonly name = "MalformedFile"

  /** For `Effect.mapError`: converts another reader's error to a `MalformedFile` with the file's name. */
  static at(file: string): (error: { readonly reason: string }) => MalformedFile {
    return ({ reason }) => new MalformedFile({ file, problem: reason })
  }

  override get message(): string {
    const where =
      this.textLine !== undefined ? `, line ${this.textLine}` : this.offset !== undefined ? `, byte ${this.offset}` : ""
    return line(`${this.file}${where}: ${this.problem}`)
  }
}

/** The system's reason, such as "permission denied", without the error code and the path. */
const reasonOf = ({ reason }: PlatformError.PlatformError): string => {
  const system = /^E[A-Z]+: ([^,]+)/.exec(reason.cause instanceof Error ? reason.cause.message : "")?.[1]
  return system ?? reason._tag.replaceAll(/(?<=.)[A-Z]/g, (letter) => ` ${letter}`).toLowerCase()
}

/** A file-system operation failed. */
export class FileFailed extends Data.Error<{
  readonly file: string
  readonly problem: string
}> {
  readonly _tag = "FileFailed"
  override readonly name = "FileFailed"

  /** For `Effect.mapError`: converts a platform error to a `FileFailed` with the file's name. */
  static at(file: string): (error: PlatformError.PlatformError) => FileFailed {
    return (error) => new FileFailed({ file, problem: reasonOf(error) })
  }

  override get message(): string {
    return line(`${this.file}: ${this.problem}`)
  }
}

/** A download failed. The bytes received so far are kept, and the next attempt resumes from them. */
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

/** A downloaded file has the wrong checksum; it has been removed. */
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

/** A worker terminated or had an unexpected error. */
export class WorkerFailed extends Data.Error<{
  readonly problem: string
}> {
  readonly _tag = "WorkerFailed"
  override readonly name = "WorkerFailed"

  override get message(): string {
    return line(`a worker that reads samples failed: ${this.problem}; workers: 0 does without`)
  }
}

/** The errors of opening a data set and of reading from it. */
export type DatasetError =
  | UnknownDataset
  | OptionError
  | MissingFile
  | MalformedFile
  | FileFailed
  | DownloadFailed
  | ChecksumMismatch
  | WorkerFailed
