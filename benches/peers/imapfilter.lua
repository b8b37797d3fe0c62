-- Waits by IDLE for a token mail and stores its token: imapfilter's own loop, and secret-tool.
--
-- Environment: PORT ADDRESS PASSWORD_FILE

options.subscribe = false

local function line_of(file)
    local handle = assert(io.open(file))
    local line = handle:read('*l')
    handle:close()
    return line
end

local account = IMAP {
    server = 'localhost',
    port = tonumber(os.getenv('PORT')),
    username = os.getenv('ADDRESS'),
    password = line_of(os.getenv('PASSWORD_FILE')),
    ssl = 'auto',
}

local STORE = "secret-tool store --label='Salesforce security token' service salesforce-security-token username "

while true do
    account.INBOX:enter_idle()
    local unread = account.INBOX:is_unseen()
    for _, message in ipairs(unread) do
        local mailbox, uid = table.unpack(message)
        local body = mailbox[uid]:fetch_body()
        local username, token = body:match('Username: ([%w@.-]+)%s+Security token %(case%-sensitive%): (%w+)')
        if token then
            pipe_to(STORE .. username, token)
        end
    end
    unread:mark_seen()
end
