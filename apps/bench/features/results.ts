/** Conformance results by backend, as stored in results.json. */
import { readFileSync } from "node:fs"
import { Conformance } from "@spikeroute/core/testing"
import { Schema } from "effect"

export const Results = Schema.Struct({
  /** The suite's cases, in order. */
  cases: Schema.Array(Schema.String),
  /** The failed cases of each backend, with their error messages. */
  backends: Schema.Record(Schema.String, Schema.Struct({ failed: Schema.Record(Schema.String, Schema.String) })),
})

export type Results = typeof Results.Type

export const resultsFile = new URL("./results.json", import.meta.url)

export const readResults = (): Results =>
  Schema.decodeUnknownSync(Schema.fromJsonString(Results))(readFileSync(resultsFile, "utf8"))

/** The suite's current cases. */
export const caseNames = (): ReadonlyArray<string> => Conformance.cases({ memory: "own" }).map(({ name }) => name)
