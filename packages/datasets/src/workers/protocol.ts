/** Messages between the training thread and its workers. */
import type * as Key from "@spikeroute/core/random"
import * as Errors from "../errors.ts"
import type { OpenOptions } from "../sets/options.ts"

/** The options that can be sent to a worker: all except functions. */
export type SentOptions = Omit<OpenOptions, "onProgress" | "eventTransform">

/** The first message to a worker: the data set to open. */
export interface OpenMessage {
  readonly type: "open"
  readonly dataset: string
  readonly options: SentOptions
}

/** Requests samples of a split: see `Split.write`. */
export interface WriteMessage {
  readonly type: "write"
  readonly id: number
  readonly split: "train" | "test"
  readonly samples: ReadonlyArray<number>
  readonly keys: ReadonlyArray<Key.Key> | undefined
  /** Total number of values of these samples. */
  readonly length: number
}

export type Request = OpenMessage | WriteMessage

/** The answer to a `WriteMessage`. A worker that cannot open its data set answers every request with that error. */
export type Answer =
  | { readonly id: number; readonly values: Float32Array }
  | { readonly id: number; readonly error: SentError }

/** A serialised error: messages between threads lose the class. */
export interface SentError {
  readonly tag: string
  readonly fields: Readonly<Record<string, unknown>>
}

const classes = {
  UnknownDataset: Errors.UnknownDataset,
  OptionError: Errors.OptionError,
  MissingFile: Errors.MissingFile,
  MalformedFile: Errors.MalformedFile,
  FileFailed: Errors.FileFailed,
  DownloadFailed: Errors.DownloadFailed,
  ChecksumMismatch: Errors.ChecksumMismatch,
  WorkerFailed: Errors.WorkerFailed,
} satisfies { readonly [Tag in Errors.DatasetError["_tag"]]: unknown }

export const sendError = (error: Errors.DatasetError): SentError => {
  const { _tag, ...fields } = { ...error }
  return { tag: error._tag, fields }
}

export const receiveError = ({ tag, fields }: SentError): Errors.DatasetError => {
  const Class = classes[tag as Errors.DatasetError["_tag"]] as new (fields: unknown) => Errors.DatasetError
  return new Class(fields)
}
