import { describe, test } from "bun:test"
import { Conformance } from "@spikeroute/core/testing"
import { configurations } from "./configurations.ts"

for (const { name, run } of configurations())
  describe(name, () => {
    for (const { name, run: conforms } of Conformance.cases({ memory: "own" })) test(name, () => run(conforms))
  })
