/** Runs the conformance suite on one backend, in a separate process, and prints the failed cases as JSON. */
import { backendLayer } from "@spikeroute/cli/backends"
import { Backend } from "@spikeroute/core"
import { Conformance } from "@spikeroute/core/testing"
import { Cause, Effect, Option } from "effect"
import { backends } from "./subjects.ts"

const [, , name = ""] = process.argv
const line = backends.find((each) => each.name === name)

const failed: Record<string, string> = {}
await Effect.runPromise(
  Effect.gen(function* () {
    yield* Backend
    for (const each of Conformance.cases(line?.memory === "own" ? { memory: "own" } : {})) {
      const exit = yield* Effect.exit(each.run)
      if (exit._tag === "Success") continue
      const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
      failed[each.name] = error instanceof Error ? error.message : Cause.pretty(exit.cause)
    }
  }).pipe(Effect.provide(backendLayer(name))),
)
console.log(JSON.stringify({ failed }))
process.exit(0)
