export * from "./accuracy.ts"
export * from "./initialize.ts"
export * from "./learning-rate.ts"
export * from "./trainer.ts"
