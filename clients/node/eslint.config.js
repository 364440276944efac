import js from "@eslint/js";

const GLOBALS = { Buffer: "readonly", URL: "readonly", TextDecoder: "readonly", console: "readonly", process: "readonly" };

export default [
  { ignores: ["types/"] },
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2024, sourceType: "module", globals: GLOBALS },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      eqeqeq: "error",
      "no-var": "error",
      "prefer-const": "error",
      "max-lines": ["error", 450],
      "max-lines-per-function": ["error", 44],
    },
  },
];
