import type { PolicyName, Settings } from "../protocol.ts"

/** Display names of the policies. */
export const policyLabels: Readonly<Record<PolicyName, string>> = { bptt: "BPTT", sltt: "SLTT", slttk: "SLTT-K" }

/** The display name; for SLTT-K with its K, "SLTT-2". */
export const policyLabel = ({ policy, k, timeSteps }: Settings): string =>
  policy === "slttk" ? `SLTT-${Math.min(k, timeSteps)}` : policyLabels[policy]
