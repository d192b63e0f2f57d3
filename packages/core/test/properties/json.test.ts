/** A graph goes through JSON and comes back. */
import { expect, test } from "bun:test"
import { Effect } from "effect"
import * as fc from "fast-check"
import { Graph, Policy } from "../../src/index.ts"
import { Arbitrary } from "../../src/testing/index.ts"
import { programOf, runs } from "./harness.ts"

const throughJson = (graph: Graph.Graph): Graph.Graph =>
  Effect.runSync(Graph.fromJson(JSON.parse(JSON.stringify(Graph.toJson(graph)))))

test("a graph stored as JSON is read back equal and compiles to the same program", () => {
  fc.assert(
    fc.property(Arbitrary.workload(), fc.boolean(), (workload, smooth) => {
      const graph = Arbitrary.graphOf(workload, { smooth })
      const read = throughJson(graph)
      expect(read).toStrictEqual(graph)
      expect(programOf(workload, Policy.bptt, { graph: read })).toStrictEqual(
        programOf(workload, Policy.bptt, { graph }),
      )
    }),
    runs(200),
  )
}, 60_000)
