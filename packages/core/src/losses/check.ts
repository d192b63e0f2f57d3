/** Checks the terms of a loss against a network and its batches. */
import { Effect, type Schema } from "effect"
import { OptionError, ProgramError } from "../errors.ts"
import type { Graph } from "../graph/graph.ts"
import { outputsOf, spikingLayers } from "../graph/nodes.ts"
import { check } from "../options.ts"
import { size } from "../shape.ts"
import { nearest } from "../text.ts"
import type { LossTerm } from "./index.ts"
import { kindOf } from "./term.ts"

/**
 * Checks the terms of a loss against the network and the number of micro-batches, and returns the nodes that they measure. Fails
 * with an OptionError for invalid options of a term, and with a ProgramError for a term that does not match.
 */
export const checkTerms = (
  graph: Graph,
  terms: ReadonlyArray<LossTerm>,
  { microBatches }: { readonly microBatches: number },
): Effect.Effect<ReadonlyArray<string>, OptionError | ProgramError> =>
  Effect.gen(function* () {
    const outputs = outputsOf(graph)
    const spiking = spikingLayers(graph)
    const measured: Array<string> = []
    for (const term of terms) {
      const kind = kindOf(term)
      const { kind: _, ...options } = term
      yield* check(`the term ${term.term} of the loss`, kind.schema as Schema.Codec<unknown>, options)
      if (kind.mixesSamples && microBatches > 1)
        return yield* new ProgramError({
          reason: `micro-batches ${microBatches}: the term ${term.term} of the loss needs whole batches; it must be 1`,
        })
      const named = kind.at(term)
      if (named === true) continue
      const node = named === undefined ? graph.output : (outputs[named] ?? named)
      const hasClasses = kind.targets(term) === "classes"
      const ofLayers = kind.ofLayers?.(term)
      const layers = graph.nodes.filter((each) => spiking.includes(each) || each.attributes.smooth === true)
      const nodes = hasClasses ? Object.values(outputs) : (ofLayers ? layers : graph.nodes).map(({ name }) => name)
      const type = nodes.includes(node) ? graph.types.get(node) : undefined
      if (!type?.batched)
        return yield* new OptionError({
          ...{ owner: `the term ${term.term} of the loss`, option: "node", value: named },
          expected: ofLayers
            ? "the name of a layer of spiking neurons"
            : `the name of an output${hasClasses ? "" : ", or of a node that depends on the input"}`,
          similar: nearest(node, ofLayers ? nodes : [...Object.keys(outputs), ...nodes]),
        })
      measured.push(node)
      const classes = size(type.shape)
      const given = "classWeights" in term ? term.classWeights?.length : undefined
      if (given !== undefined && given !== classes)
        return yield* new ProgramError({
          reason: `the loss has ${given} class weights, and ${named ?? "the network"} ${classes} outputs`,
        })
    }
    return measured
  })
