import { Conformance } from "@spikeroute/core/testing"

/**
 * Whether a case of the conformance suite runs on a GPU made of software, which takes a while for each of a network's pipelines: it
 * runs every kernel's, and of whole networks those whose policies have all kinds of segments between them.
 */
const isQuick = (name: string): boolean =>
  !/, (static|frames), |^random networks [2-9]/.test(name) ||
  /^(perceptron, (static, bptt|frames, sltt)|residual, static, bptt|normaliser-free, static, inference|spike to spike, frames, sltt)$/.test(
    name,
  )

/** The cases that run: all of them on a GPU, the quick ones on software. */
export const cases = (options: Conformance.Lifecycle, onSoftware: boolean) =>
  Conformance.cases(options).filter(({ name }) => !onSoftware || isQuick(name))
