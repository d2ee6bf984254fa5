/** The real services/ against a running product (`npm run test:backend`, needs BACKEND_URL). */
module.exports = {
  testEnvironment: 'node',
  transform: {},
  testMatch: ['<rootDir>/tests/backend/**/*.test.js'],
  testTimeout: 60000,
};
