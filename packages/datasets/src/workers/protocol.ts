/** What the training thread and its workers say to each other. */
import type * as Key from "@spikeroute/core/random"
import * as Errors from "../errors.ts"
import type { OpenOptions } from "../sets/options.ts"

/** Options that can be sent: all but functions. */
export type SentOptions = Omit<OpenOptions, "onProgress" | "eventTransform">

/** The first message to a worker: the data set that it is to make samples of. */
export interface OpenMessage {
  readonly type: "open"
  readonly dataset: string
  readonly options: SentOptions
}

/** Asks for samples of a split, written as `Split.write` does. */
export interface WriteMessage {
  readonly type: "write"
  readonly id: number
  readonly split: "train" | "test"
  readonly samples: ReadonlyArray<number>
  readonly keys: ReadonlyArray<Key.Key> | undefined
  /** How many values they have in all. */
  readonly length: number
}

export type Request = OpenMessage | WriteMessage

/** The answer to a `WriteMessage`; a worker that cannot open its data set answers every one with the reason. */
export type Answer =
  | { readonly id: number; readonly values: Float32Array }
  | { readonly id: number; readonly error: SentError }

/** An error as data: its class is lost on the way between threads. */
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
