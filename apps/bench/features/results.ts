/** Results of the conformance suite by backend, as results.json keeps them. */
import { readFileSync } from "node:fs"
import { Conformance } from "@spikeroute/core/testing"
import { Schema } from "effect"

export const Results = Schema.Struct({
  /** The suite's cases, in order. */
  cases: Schema.Array(Schema.String),
  /** Of each backend, the cases that failed, with what they said. */
  backends: Schema.Record(Schema.String, Schema.Struct({ failed: Schema.Record(Schema.String, Schema.String) })),
})

export type Results = typeof Results.Type

export const resultsFile = new URL("./results.json", import.meta.url)

export const readResults = (): Results =>
  Schema.decodeUnknownSync(Schema.fromJsonString(Results))(readFileSync(resultsFile, "utf8"))

/** The suite's cases now. */
export const caseNames = (): ReadonlyArray<string> => Conformance.cases({ memory: "own" }).map(({ name }) => name)
