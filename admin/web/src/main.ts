import { createApp } from 'vue'
import App from './App.vue'
import { complain } from './lib/notice'
import { router } from './router'
import './styles.css'

const app = createApp(App)
app.config.errorHandler = (error) => complain(error)
app.use(router).mount('#app')
