import { test } from "bun:test"
import { Conformance } from "@spikeroute/core/testing"
import { Effect } from "effect"
import { layer } from "../src/index.ts"

for (const { name, run } of Conformance.cases()) test(name, () => Effect.runPromise(run.pipe(Effect.provide(layer))))
