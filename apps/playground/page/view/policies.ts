import type { PolicyName, Settings } from "../protocol.ts"

/** What people call the policies. */
export const policyLabels: Readonly<Record<PolicyName, string>> = { bptt: "BPTT", sltt: "SLTT", slttk: "SLTT-K" }

/** SLTT-K with its K: "SLTT-2". */
export const policyLabel = ({ policy, k, timeSteps }: Settings): string =>
  policy === "slttk" ? `SLTT-${Math.min(k, timeSteps)}` : policyLabels[policy]
